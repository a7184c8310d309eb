from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.data.cases import Case
from evaluation.report.page import render
from evaluation.tracing import command
from evaluation.tracing.command import Wish, run, window_of
from evaluation.tracing.page import STYLE, section
from evaluation.tracing.prompts import candidates
from evaluation.tracing.records import find_traces, read_traces
from evaluation.tracing.runs import trace
from evaluation.tracing.terms import KINDS
from mmedit_build.console import silent
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.pages import Reader


@pytest.fixture
def wish(dataset: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model": "miniature/mllm",
        "dataset": str(dataset),
        "out": tmp_path / "out",
        "limit": 2,
        "samples": 2,
        "device": "cpu",
    }


def test_prompts_are_traced_and_shown(wish: dict[str, Any], tmp_path: Path) -> None:
    options = [f"--{name}={value}" for name, value in wish.items()]
    result = CliRunner().invoke(app, ["trace", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    output = " ".join(result.stdout.split())
    assert "Facts in words: 2 prompts" in output
    assert output.count("Layers to edit.") == 2
    out = tmp_path / "out"
    for kind in KINDS:
        lines = [line for line in read_traces(out, kind) if line.skipped is None]
        assert len(lines) == 2
        for line in lines:
            assert line.clean > 0.3
            assert len(line.tokens) == len(line.roles) == len(line.effects["mlp"][0])
            assert line.answer.startswith(line.token)
    names = {path.name for path in out.glob("*.svg")}
    assert len(names) == 9
    for name in names:
        assert ET.parse(out / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    page = Reader((out / "trace.html").read_bytes())
    assert any("answer falls" in text for text in page.texts)
    # Three sites for each: roles of both kinds, the image's tokens, and two examples of each kind.
    assert len(page.named("svg")) == 3 * (2 + 1 + 4)
    assert page.named("script") == page.named("img") == page.named("link") == []
    assert find_traces([tmp_path, out]) == [out.resolve()]
    maps = len(page.named("svg"))
    whole = Reader(render({}, traces=find_traces([tmp_path])))
    assert len(whole.named("svg")) == maps
    assert "#tracing" in [one["href"] for one in whole.named("a")]
    assert [one["id"] for one in whole.named("section")].count("tracing") == 1


def test_the_section_of_a_report(wish: dict[str, Any], tmp_path: Path) -> None:
    run(Wish(**wish | {"kinds": ("text",)}), silent)
    shown = section(tmp_path / "out")
    reader = Reader(shown)
    assert reader.tags[0] == ("section", {"id": "tracing"})
    assert "Causal tracing" in reader.texts
    assert "Questions about images" not in reader.texts
    assert "--heat" in STYLE
    with pytest.raises(UserError, match="mmedit-eval trace wrote"):
        section(tmp_path)


def test_a_run_goes_on_where_it_stopped(
    wish: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "text.jsonl"
    wish["kinds"] = ("text",)
    run(Wish(**wish | {"limit": 3}), silent)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    # Killed while it wrote the last line.
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    calls: list[object] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return trace(*arguments)

    monkeypatch.setattr(command, "trace", counted)
    run(Wish(**wish | {"limit": 3}), silent)
    assert len(calls) == 1
    again = path.read_bytes().splitlines()
    assert [line.rpartition(b'"seconds"')[0] for line in again] == [
        line.rpartition(b'"seconds"')[0] for line in whole.splitlines()
    ]
    run(Wish(**wish | {"limit": 2}), silent)
    assert len(calls) == 1
    assert path.read_bytes().splitlines() == again


@pytest.mark.parametrize("change", [{"noise": 1.0}, {"samples": 3}, {"window": 2}, {"guess": "question"}])
def test_other_settings_want_another_folder(wish: dict[str, Any], change: dict[str, Any]) -> None:
    wish |= {"kinds": ("text",), "limit": 1}
    run(Wish(**wish), silent)
    (name,) = change
    with pytest.raises(UserError, match=f"{name} was .* and is now .*--out"):
        run(Wish(**wish | change), silent)


def test_a_broken_line_is_named(wish: dict[str, Any], tmp_path: Path) -> None:
    wish |= {"kinds": ("text",), "limit": 1}
    run(Wish(**wish), silent)
    path = tmp_path / "out" / "text.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(UserError, match="Line 1 of"):
        run(Wish(**wish), silent)


def test_mistakes_are_told_before_anything_is_written(wish: dict[str, Any], tmp_path: Path) -> None:
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"noise": 0.0}, "greater than 0"),
        ({"model": "miniature/mlm"}, "did you mean"),
        ({"subjects": tmp_path / "none"}, "check its path"),
        ({"dataset": str(tmp_path / "none")}, "does not exist"),
    ]
    for change, message in mistakes:
        with pytest.raises(UserError, match=message):
            run(Wish(**wish | change), silent)
    assert not (tmp_path / "out").exists()


def test_windows() -> None:
    assert [window_of(None, layers) for layers in (1, 6, 32, 48)] == [1, 1, 7, 10]
    assert window_of(3, 6) == 3
    with pytest.raises(UserError, match="at most 6"):
        window_of(7, 6)


def test_only_right_answers_are_traced(
    wish: dict[str, Any], mllm: MLLM, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = candidates(cases, mllm, "text")[0].probe.probe.answers
    monkeypatch.setattr(
        command, "match", lambda answer, right: float(answer not in first and answer in right)
    )
    lines = run(Wish(**wish | {"kinds": ("text",), "limit": 1}), silent)["text"]
    assert [line.skipped for line in lines] == ["not answered right", None]
    monkeypatch.setattr(command, "match", lambda answer, right: 0.0)  # noqa: ARG005
    with pytest.raises(UserError, match="answers none of the 6 facts"):
        run(Wish(**wish | {"kinds": ("text",), "out": wish["out"].parent / "other"}), silent)


def test_a_dataset_without_such_questions(
    wish: dict[str, Any], cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "load_cases", lambda *_, **__: cases[4:])
    with pytest.raises(UserError, match="--kind text"):
        run(Wish(**wish | {"kinds": ("image",)}), silent)
