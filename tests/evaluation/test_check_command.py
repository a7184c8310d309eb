"""The command that checks an editor, of mmedit or of the user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evaluation.cli import app
from evaluation.data.miniature import ensure_built
from mmedit_build.errors import UserError

MINE = """
from editors.base import UserError
from editors.ft import FT
from editors.patches.overlays import RoutedPatch

class Honest(FT):
    batch = True

class Cheat(RoutedPatch):
    changed = 0

    def __init__(self, targets):
        self.targets = targets

    def in_scope(self, mllm, queries):
        return [query.target in self.targets for query in queries]

    def other(self, under):
        return under

    def state(self):
        from editors.base import State
        return State(fields={"targets": self.targets})

    @classmethod
    def from_state(cls, state):
        return cls(state.fields["targets"])

class Cheating(FT):
    def plan(self, model, edits):
        return Cheat([edit.target for edit in edits])

class Never(FT):
    def plan(self, model, edits):
        raise UserError("Not today.")
"""


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "mine_to_check.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("mine_to_check", None)


def check(method: str, dataset: Path, *arguments: str) -> Result:
    where = ("--dataset", str(dataset), "--cache", "cache", "--device", "cpu", "--limit", "1", *arguments)
    return CliRunner().invoke(app, ["check", method, *where], catch_exceptions=False)


def test_a_method_of_mmedit_passes(dataset: Path) -> None:
    result = check("oracle", dataset)
    assert result.exit_code == 0
    assert result.stdout.count("yes") == 12
    assert "Tried on vqa/test/100, caption/test/104." in " ".join(result.stdout.split())


def test_an_editor_of_the_user_passes(dataset: Path) -> None:
    assert check("mine_to_check:Honest", dataset, "--task", "vqa").exit_code == 0


def test_one_that_cheats_is_told_by_what_it_does(dataset: Path) -> None:
    result = check("mine_to_check:Cheating", dataset, "--task", "vqa")
    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("Not kept: ")]
    assert len(failed) == 1
    assert failed[0].startswith("Not kept: swap test: what is chosen or looked up does not depend on it. Of ")


def test_options_come_from_an_experiment_file(dataset: Path, tmp_path: Path) -> None:
    options = "{router: leaking, mixing: soft, steps: 2, batch_size: 2}"
    (tmp_path / "my.yaml").write_text(f"methods: {{leaky: {{editor: serac, options: {options}}}}}")
    result = check("leaky", dataset, "--task", "vqa", "--config", "my.yaml")
    assert result.exit_code == 1
    assert "Not kept: swap test: predictions do not depend on the target to come. Of " in result.stdout


def test_a_file_that_names_an_editor_of_others_runs_no_code(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("methods: {theirs: {editor: 'mine_to_check:Honest'}}")
    with pytest.raises(UserError, match="There is no editor 'mine_to_check:Honest'"):
        check("theirs", dataset, "--config", "theirs.yaml")
    assert "mine_to_check" not in sys.modules


def test_mistakes_are_one_sentence(dataset: Path) -> None:
    with pytest.raises(UserError, match="Name one method to check, not ft, ike"):
        check("ft,ike", dataset)
    with pytest.raises(UserError, match="Never could make none of the edits: Not today"):
        check("mine_to_check:Never", dataset)


def test_without_a_dataset_one_that_is_built_here_is_taken(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo" / "miniature").mkdir(parents=True)
    (tmp_path / "demo" / "miniature" / "dataset").symlink_to(dataset.resolve())
    monkeypatch.setattr("mmedit_build.cli.build", lambda *_: pytest.fail("it was built anew"))
    asked = ["check", "oracle", "--task", "vqa", "--limit", "1", "--cache", "cache", "--device", "cpu"]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    assert not (tmp_path / "runs").exists()


def test_before_anything_is_built_it_says_how_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("mmedit_build.cli.build", lambda *_: said.append(capsys.readouterr().out))
    ensure_built("runs/miniature/dataset")
    assert "building it in runs/miniature" in said[0]
    assert "--dataset takes another" in said[0]
