"""Judging by a language model from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evaluation.cli import app
from evaluation.results.verdicts import FILE
from mmedit_build.errors import UserError
from tests.evaluation.judged import Row, write_run
from tests.mmedit_build.services.conftest import (
    ChatServer,
    _fast_and_direct,
    change,
    chat_server,
    unused_url,
)

__all__ = ["_fast_and_direct", "chat_server", "unused_url"]

EDITS: list[list[Row]] = [[("reliability", "a?", "red")], [("reliability", "a?", "blue")]]
RIGHT = {"change": change(message={"role": "assistant", "content": "right"})}


@pytest.fixture
def judge(chat_server: ChatServer) -> str:
    """A judge that likes everything."""
    chat_server.judge = lambda _: RIGHT
    return f"sage@{chat_server.url}"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def test_results_that_are_there_are_judged_without_any_other_model(
    judge: str, tmp_path: Path, chat_server: ChatServer
) -> None:
    folder = write_run(tmp_path / "out", "ft", EDITS)
    where = (tmp_path / "out", "--judge", judge, "--cache", tmp_path / "cache")
    told = call("judge", *where, "--estimate").stdout
    assert "2 different answers have no verdict of sage; 2 requests, about" in told
    assert "no price is stated." in told
    assert chat_server.seen == []
    assert not (folder / FILE).exists()
    told = call("judge", *where).stdout
    assert "2 verdicts are new." in told
    assert "judged by sage" in told
    assert "0 verdicts are new." in call("judge", *where).stdout
    assert len(chat_server.seen) == 2


def test_the_price_of_an_experiment_file_is_used(judge: str, tmp_path: Path) -> None:
    write_run(tmp_path / "out", "ft", EDITS)
    model, _, address = judge.partition("@")
    section = f"{{kind: endpoint, model: {model}, base_url: '{address}', price: {{input: 1000, output: 0}}}}"
    (tmp_path / "my.yaml").write_text(f"judge: {section}")
    told = call("judge", tmp_path / "out", "--config", tmp_path / "my.yaml", "--estimate").stdout
    assert " USD or less." in told


def test_methods_are_judged_as_soon_as_they_are_done(judge: str, dataset: Path, tmp_path: Path) -> None:
    where = ("--dataset", dataset, "--task", "vqa", "--limit", "2", "--device", "cpu")
    folders = ("--out", tmp_path / "out", "--cache", tmp_path / "cache")
    told = call("--method", "oracle", *where, *folders, "--judge", judge).stdout
    assert "judged by sage" in told
    assert (tmp_path / "out" / "vqa" / "oracle" / FILE).exists()
    assert (tmp_path / "out" / "vqa" / "unedited" / FILE).exists()
    assert "judged by sage" in (tmp_path / "out" / "tables.md").read_text()
    # Whoever judges later gives the same command again.
    assert "0 verdicts are new." in call("--method", "oracle", *where, *folders, "--judge", judge).stdout


def test_a_judge_that_is_not_there_costs_no_results(unused_url: str, dataset: Path, tmp_path: Path) -> None:
    where = ("--dataset", dataset, "--task", "vqa", "--limit", "1", "--device", "cpu")
    folders = ("--out", tmp_path / "out", "--cache", tmp_path / "cache")
    with pytest.raises(UserError, match=f"Cannot connect to {unused_url}"):
        call("--method", "oracle", *where, *folders, "--judge", f"sage@{unused_url}")
    assert (tmp_path / "out" / "report.html").exists()
    assert (tmp_path / "out" / "vqa" / "oracle" / "results.jsonl").exists()


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Name a judge: --judge MODEL@ADDRESS, or `judge` in an experiment"):
        call("judge", tmp_path)
    with pytest.raises(UserError, match="There are no results in"):
        call("judge", tmp_path, "--judge", "sage@http://127.0.0.1:1/v1")
    write_run(tmp_path / "out", "ft", EDITS)
    with pytest.raises(UserError, match="wants a key: set the environment variable OPENAI_API_KEY"):
        call("judge", tmp_path, "--judge", "sage", "--cache", tmp_path / "cache")


def test_a_missing_key_is_told_before_any_work(dataset: Path, tmp_path: Path) -> None:
    where = ("--method", "oracle", "--dataset", dataset, "--out", tmp_path / "out")
    with pytest.raises(UserError, match="wants a key"):
        call(*where, "--judge", "sage")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://", "must look like"),
        ("http://127.0.0.1:99999/v1", "must look like"),
        ("http://me:secret@127.0.0.1/v1", "holds a password or a query"),
    ],
)
def test_an_unusable_address_is_told_before_any_work(
    address: str, reason: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "some-key")
    where = ("--method", "oracle", "--dataset", dataset, "--out", tmp_path / "out")
    with pytest.raises(UserError, match=reason):
        call(*where, "--judge", f"sage@{address}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--stream", "1,2"), "Streams are not judged"),
        (("--stream", "vlkeb-gap"), "Streams are not judged"),
        (("--protocol", "legacy"), "take wild among the protocols"),
    ],
)
def test_a_judge_that_would_have_nothing_to_judge_is_refused_before_any_work(
    options: tuple[str, str], reason: str, judge: str, dataset: Path, tmp_path: Path
) -> None:
    where = ("--method", "oracle", "--dataset", dataset, "--out", tmp_path / "out")
    with pytest.raises(UserError, match=reason):
        call(*where, "--judge", judge, *options)
    assert not (tmp_path / "out").exists()
