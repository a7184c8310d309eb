"""What a dry run tells is what the run then does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.report.outlook import sentences
from evaluation.results.records import read_results
from evaluation.run import loading
from evaluation.run.experiment import Experiment, Method
from evaluation.run.preview import Outlook, outlooks
from mmedit_build.console import silent
from tests.evaluation.whole import evaluate


@pytest.fixture
def experiment(dataset: Path, tmp_path: Path) -> Experiment:
    return Experiment(
        methods={"oracle": Method(), "ft": Method(options={"steps": 2})},
        dataset=str(dataset),
        task="vqa",
        device="cpu",
        protocols=("legacy",),
        out=tmp_path / "out",
        cache=tmp_path / "cache",
    )


def change(experiment: Experiment, **changes: Any) -> Experiment:
    return experiment.model_copy(update=changes)


def told(experiment: Experiment) -> list[tuple[str, int, int]]:
    return [(one.name, one.there, one.left) for one in outlooks(experiment)]


def test_what_is_there_and_what_is_left(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = change(experiment, limit=3)
    evaluate(ran, silent)

    def load(_: Experiment) -> None:
        raise AssertionError("a dry run loads no model")

    monkeypatch.setattr(loading, "load_model", load)
    assert told(experiment) == [("unedited", 3, 1), ("oracle", 3, 1), ("ft", 3, 1)]
    assert told(ran) == [("unedited", 3, 0), ("oracle", 3, 0), ("ft", 3, 0)]
    *_, tuned = outlooks(experiment)
    results = read_results(experiment.out / "vqa" / "ft")[1]
    seconds = sum(one.plan_seconds + one.probe_seconds for one in results) / 3
    assert tuned.seconds == pytest.approx(seconds)
    assert tuned.time == pytest.approx(seconds)


def test_numbers_at_once_and_seeds_are_runs_of_their_own(experiment: Experiment) -> None:
    several = change(experiment, at_once=(1, 2), seeds=(0, 1), methods={"ft": Method()})
    found = outlooks(several)
    assert [(one.name, one.seed) for one in found] == [
        (name, seed) for seed in (0, 1) for name in ("unedited", "ft", "ft@2")
    ]
    assert {one.left for one in found} == {4}
    assert all(one.time is None for one in found)
    assert not experiment.out.exists()


def test_what_would_be_refused_is_told(experiment: Experiment) -> None:
    one = change(experiment, methods={"ft": Method(options={"steps": 2})}, limit=2)
    evaluate(one, silent)
    other = change(one, methods={"ft": Method(options={"steps": 3}), "oracle": Method()}, at_once=(1, 2))
    by_name = {(of.name, of.wanted): of for of in outlooks(other)}
    assert "config.steps was 2 and is now 3" in by_name["ft", 2].refused
    assert "It makes one edit at a time" in by_name["oracle", 0].refused
    assert sentences(list(by_name.values()))[-1].startswith("oracle: It makes one edit at a time")


def test_streams_count_the_edits_of_all_orders(experiment: Experiment) -> None:
    stream = change(experiment, stream=(1, 2), orders=2, methods={"ft": Method(options={"steps": 2})})
    assert told(stream) == [("unedited", 0, 4), ("ft", 0, 4)]
    evaluate(stream, silent)
    assert told(stream) == [("unedited", 4, 0), ("ft", 4, 0)]


def test_sentences_sum_up() -> None:
    some = [Outlook("vqa", "ft", 0, 10, 5, 60.0), Outlook("vqa", "ft@2", 0, 10), Outlook("vqa", "x", 0, 5, 5)]
    left, unknown, apart = sentences(some)
    assert left == "15 edits are left, about 0:05:00 of them by what their runs took so far."
    assert unknown == "How long ft@2 will take is not known, as nothing of it is there."
    assert "--limit 20 --out runs/trial" in apart
    # A few single edits can be had first, of which nothing is lost.
    alone = Outlook("vqa", "mend", 0, 10, alone=True)
    *_, advice = sentences([alone])
    assert "--limit 20 measures it; what it does is kept" in advice
    assert len(sentences([*some, alone])) == 4


def test_where_nothing_is_built_it_says_how_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["--method", "ft", "--dry-run"], catch_exceptions=False)
    assert "--limit 20 builds it and measures what an edit takes" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_is_built_mistakes_are_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walked_past.py").write_text("class Editor:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = CliRunner().invoke(app, ["--method", "walked_past:Editor", "--dry-run"])
    assert "is no editor" in str(result.exception)


def test_the_command_writes_nothing(dataset: Path, tmp_path: Path) -> None:
    arguments = ["--method", "ft", "--dataset", str(dataset), "--out", str(tmp_path / "out"), "--dry-run"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "What would be run" in result.stdout
    assert "How long unedited, ft will take is not known" in result.stdout
    assert not (tmp_path / "out").exists()
