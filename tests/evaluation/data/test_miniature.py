"""Where nobody has built the miniature, a command that wants it does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.data.miniature import DATASET
from mmedit_build.errors import UserError

ANNOUNCED = "The miniature benchmark is not built yet; building it in runs/miniature"


@pytest.mark.parametrize("command", [["--method", "oracle"], ["fit", "--method", "mend"], ["trace"]])
def test_it_is_built_in_its_usual_place(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Building takes a minute; that it begins there is seen from how it is refused.
    work = tmp_path / DATASET.parent
    work.parent.mkdir()
    work.touch()
    result = CliRunner().invoke(app, command)
    assert result.stdout.startswith(ANNOUNCED)
    assert isinstance(result.exception, UserError)
    assert "Cannot write to runs/miniature (runs/miniature: not a folder)" in str(result.exception)


@pytest.mark.parametrize("command", [["--method", "oracle"], ["trace"]])
def test_a_bundled_model_is_judged_on_its_own_mistakes(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/miniature-qwen").touch()
    result = CliRunner().invoke(app, [*command, "--model", "miniature/qwen"])
    assert "building it in runs/miniature-qwen" in result.stdout
    assert "Cannot write to runs/miniature-qwen" in str(result.exception)


def test_one_that_is_there_is_used_again(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, DATASET)
    arguments = ["--method", "oracle", "--protocol", "legacy", "--task", "vqa", "--limit", "1"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "building" not in result.stdout


def test_mistakes_are_told_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("methods: {ft: {options: {stps: 3}}}")
    result = CliRunner().invoke(app, ["--method", "ft", "--config", "mine.yaml"])
    assert isinstance(result.exception, UserError)
    assert "has no option 'stps'" in str(result.exception)
    assert result.stdout == ""
    assert not Path("runs").exists()


def test_another_dataset_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["--method", "ft", "--dataset", "./runs/other"])
    assert isinstance(result.exception, UserError)
    assert "runs/other does not exist" in str(result.exception)
