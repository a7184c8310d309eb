"""Methods of the user's own, named by their places: judged, kept and reported like ours."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from editors import load_editor, make_editor, own_class
from editors.keys import code_key
from evaluation.cli import app
from mmedit_build.errors import UserError

MINE = """
from editors.ft import FT
from editors.patches.weights import WeightPatch

class MyPatch(WeightPatch):
    pass

class Mine(FT):
    def plan(self, model, edits):
        return MyPatch(super().plan(model, edits).deltas)

    def extend(self, model, made, edits):
        return MyPatch(super().extend(model, made, edits).deltas)
"""
NAME = "mine_to_judge.Mine"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file with the editor, where the user is."""
    file = tmp_path / "mine_to_judge.py"
    file.write_text(MINE)
    monkeypatch.chdir(tmp_path)
    yield file
    sys.modules.pop("mine_to_judge", None)


def run(dataset: Path, *arguments: str) -> str:
    where = [
        "--dataset",
        str(dataset),
        "--task",
        "vqa",
        "--cache",
        "cache",
        "--out",
        "out",
        "--device",
        "cpu",
    ]
    asked = ["--method", "ft,mine_to_judge:Mine", "--protocol", "legacy", *where, *arguments]
    result = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_is_judged_and_reported_under_its_name(dataset: Path) -> None:
    run(dataset)
    header = json.loads(Path("out/vqa", NAME, "run.json").read_text())
    assert header["about"]["family"] == "fine-tuning"
    rows = [(Path("out/vqa") / name / "results.jsonl").read_text().splitlines() for name in ("ft", NAME)]
    ours, mine = ([json.loads(line)["probes"] for line in of] for of in rows)
    assert ours == mine
    assert NAME in Path("out/report.html").read_text()


def test_its_options_are_listed_by_its_place() -> None:
    (mine, ft) = (
        CliRunner().invoke(app, ["list", "--json", name], catch_exceptions=False).stdout
        for name in ("mine_to_judge:Mine", "ft")
    )
    assert json.loads(mine)["mine_to_judge:Mine"]["options"] == json.loads(ft)["ft"]["options"]


def test_a_stream_goes_on_from_a_patch_of_its_own(dataset: Path) -> None:
    run(dataset, "--stream", "1,3", "--orders", "1")
    kept = [Path("out/vqa/streams", name, "checkpoints.jsonl").read_text() for name in ("ft", NAME)]
    ours, mine = ([json.loads(line)["fixed"] for line in of.splitlines()] for of in kept)
    assert ours == mine
    assert len(ours) == 2


def test_what_it_learned_counts_for_the_code_that_learned_it(own: Path) -> None:
    before = code_key(make_editor("mine", own_class("mine_to_judge:Mine")))
    own.write_text(f"{MINE}\n# changed\n")
    assert before is not None
    assert code_key(make_editor("mine", own_class("mine_to_judge:Mine"))) != before
    assert code_key(load_editor("ft")) is None


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("mine_to_judge", "is a module, not a class in it; give mine_to_judge:Mine."),
        ("mine_to_judge:", "is a module, not a class in it; give mine_to_judge:Mine."),
        ("mine_to_judge:Mime", "has no class 'Mime'; give mine_to_judge:Mine."),
        ("broken", "The module broken cannot be imported, since its own code fails: ZeroDivisionError"),
        ("empty", "is a module, not a class in it; give module:Class of an editor"),
        # A module of Python's own is none that the user means.
        ("json", "There is no method 'json'"),
    ],
)
def test_a_module_without_its_class_names_the_editors_in_it(named: str, sentence: str) -> None:
    Path("broken.py").write_text("1 / 0")
    Path("empty.py").write_text("from editors.ft import FT")
    with pytest.raises(UserError, match=re.escape(sentence)):
        CliRunner().invoke(app, ["--method", named], catch_exceptions=False)
