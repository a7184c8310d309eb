from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedit_build.build import finish
from mmedit_build.cli import app, miniature
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError
from mmedit_build.formats.exchange import export_edits
from mmedit_build.miniature.sources import write_sources
from mmedit_build.rows import EditRow
from mmedit_build.work import Work
from tests.mmedit_build.conftest import MakeEdit


def test_miniature_writes_the_sources_and_names_them(tmp_path: Path) -> None:
    out = tmp_path / "sources"
    arguments = ["miniature", "--out", str(out), "--train-images", "2", "--val-images", "3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("5 images with 25 questions, 25 captions and 5 knowledge questions;")
    assert f"Sources: {out}\n" in result.output
    assert f"Contact sheet: {out / 'contact_sheet.png'}\n" in result.output
    assert (out / "contact_sheet.png").is_file()
    assert len(list((out / "images" / "val2014").iterdir())) == 3


def test_miniature_takes_a_seed(tmp_path: Path) -> None:
    def drawn(name: str, *seed: str) -> bytes:
        arguments = ["miniature", "--out", str(tmp_path / name), "--train-images", "1", "--val-images", "1"]
        assert CliRunner().invoke(app, [*arguments, *seed]).exit_code == 0
        (image,) = (tmp_path / name / "images" / "val2014").iterdir()
        return image.read_bytes()

    assert drawn("a") == drawn("b", "--seed", "miniature")
    assert drawn("a2") != drawn("c", "--seed", "another")


def test_the_command_has_the_defaults_of_the_function() -> None:
    ours, theirs = inspect.signature(miniature).parameters, inspect.signature(write_sources).parameters
    for name in ("seed", "train_images", "val_images"):
        assert ours[name].default == theirs[name].default


STAGES = ("mine", "rephrase", "imagine", "attach", "extend", "publish", "run")
MINIATURE = (Path(__file__).parents[2] / "recipes" / "miniature.yaml").read_text()


@pytest.mark.parametrize("command", ["status", "mine", "publish", "run --dry-run", "export --out x"])
def test_a_work_folder_that_cannot_be_is_told(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--work", "x" * 300])
    assert isinstance(result.exception, UserError)
    assert "cannot be a name or a path (it is too long); give another." in str(result.exception)


@pytest.mark.parametrize("stage", STAGES)
def test_a_plan_needs_nothing_and_leaves_nothing(stage: str, tmp_path: Path) -> None:
    arguments = [stage, "miniature", "--dry-run", "--work", str(tmp_path / "work")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert stage == "run" or result.output.startswith(f"{stage}: ")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "minature"], "Did you mean miniature"),
        (["rephrase"], "mine is not finished"),
        (["export", "--out", "out"], "attach is not finished"),
        (["audit", "nowhere"], "nowhere"),
        (["import", "nowhere", "--work", "work"], "nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)
    assert "\n" not in str(result.exception)


def test_source_images_can_be_left_out_by_an_option(tmp_path: Path) -> None:
    edits: list[EditRow] = []
    for stage in ("attach", "extend"):
        finish(Work(tmp_path), stage, Tally().add(edits), edits)
    arguments = ["publish", "--dry-run", "--work", str(tmp_path)]
    assert "with their source images" in CliRunner().invoke(app, arguments).output
    assert (
        "without their source images"
        in CliRunner().invoke(app, [*arguments, "--no-embed-source-images"]).output
    )


def test_a_folder_at_work_is_left_alone(tmp_path: Path) -> None:
    with Work(tmp_path).locked():
        result = CliRunner().invoke(app, ["rephrase", "--work", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "Another command is at work" in str(result.exception)


def test_broken_sources_are_told_and_a_broken_image_costs_its_rows(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "files", train_images=1, val_images=12)
    recipe = tmp_path / "recipe.yaml"
    text = MINIATURE.replace("{sources}", str(sources.folder)).replace("train2014", "val2014")
    start = text.index("    - annotations", text.index("    - annotations") + 1)
    text = text[:start] + text[text.index("mine:") :]
    recipe.write_text(text[: text.index("draw:")] + text[text.index("base:") :])
    images = sorted(sources.image_folder("val2014").iterdir())
    images[0].write_bytes(images[0].read_bytes()[:100])
    images[1].unlink()
    arguments = ["mine", str(recipe), "--work", str(tmp_path / "work")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    # Five questions and a caption of each of two images.
    assert "12 failed" in result.output
    assert "--retry-failed" in result.output
    status = CliRunner().invoke(app, ["status", str(recipe), "--work", str(tmp_path / "work")])
    assert "failed: " in status.output
    annotations = sources.vqa_annotations("val2014")
    annotations.write_bytes(annotations.read_bytes()[:-500])
    again = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "other")])
    assert isinstance(again.exception, UserError)
    assert annotations.name in str(again.exception)


def test_export_and_import_give_the_same_rows(
    make_edit: MakeEdit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    edits = [make_edit(number) for number in range(1, 4)]
    finish(Work(tmp_path / "work"), "attach", Tally().add(edits), edits)
    run = CliRunner()
    assert run.invoke(app, ["export", "--work", "work", "--out", "one"]).exit_code == 0
    assert run.invoke(app, ["import", "one", "--work", "again"]).exit_code == 0
    assert run.invoke(app, ["export", "--work", "again", "--out", "two"]).exit_code == 0
    assert Path("one/vqa_eval.json").read_bytes() == Path("two/vqa_eval.json").read_bytes()
    result = run.invoke(app, ["audit", "again", "--json", "audit.json", "--page", "audit.html"])
    assert result.exit_code == 0, result.output
    assert "Identical rephrases" in " ".join(result.output.split())
    assert Path("audit.json").is_file()
    assert Path("audit.html").is_file()


def test_an_import_that_was_refused_can_be_given_again(
    make_edit: MakeEdit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_edits([make_edit(1), make_edit(2)], Work(tmp_path), Path("one"))
    file = Path("one/vqa_eval.json")
    whole = file.read_text()
    file.write_text(whole.replace("val2014_image_rephrase/2000_", "elsewhere/2000_"))
    command = ["import", "one", "--work", "again"]
    refused = CliRunner().invoke(app, command)
    assert "Row 2 of " in str(refused.exception)
    file.write_text(whole)
    assert CliRunner().invoke(app, command).exit_code == 0
    told = CliRunner().invoke(app, command)
    assert "holds a build already" in str(told.exception)
