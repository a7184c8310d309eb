from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from evaluation.base import Score
from evaluation.cli import _table, app
from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import write_sources


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["base", "--device", "cpu", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_base_asks_the_bundled_model_about_the_miniature(tmp_path: Path) -> None:
    output = invoke("--out", str(tmp_path), "--limit", "60")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 60
    # The bundled model has learned the world: a tenth would be chance, its bar is 70%.
    assert sum(row["accuracy"] for row in rows) / 60 > 0.5
    assert f"Picture: {tmp_path / 'answers.png'}" in output
    assert "VQA accuracy (official)" in output
    with Image.open(tmp_path / "answers.png") as picture:
        assert picture.width > 500


def test_base_takes_the_files_of_the_user(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "mine", train_images=1, val_images=2)
    invoke(
        *("--questions", str(sources.vqa_questions("val2014"))),
        *("--annotations", str(sources.vqa_annotations("val2014"))),
        *("--images", str(sources.image_folder("val2014"))),
        *("--out", str(tmp_path / "out")),
    )
    assert len((tmp_path / "out" / "answers.jsonl").read_text().splitlines()) == 10
    assert not (tmp_path / "out" / "sources").exists()


def test_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="together"):
        invoke("--images", str(tmp_path))


def test_an_unknown_model_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'miniature/mllm'"):
        invoke("--model", "miniature/mlm", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "mine", train_images=1, val_images=1)
    (image,) = sources.image_folder("val2014").iterdir()
    image.write_bytes(b"not an image")
    with pytest.raises(UserError, match=image.name):
        invoke(
            *("--questions", str(sources.vqa_questions("val2014"))),
            *("--annotations", str(sources.vqa_annotations("val2014"))),
            *("--images", str(sources.image_folder("val2014"))),
            *("--out", str(tmp_path / "out")),
        )


def test_a_folder_that_takes_no_results_is_told_before_questions_are_read(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    missing = str(tmp_path / "none.json")
    with pytest.raises(UserError, match="not a folder"):
        invoke(
            *("--questions", missing, "--annotations", missing, "--images", missing),
            *("--model", str(tmp_path), "--out", str(tmp_path / "out")),
        )
    assert (tmp_path / "out").read_text() == "mine"


def test_types_are_shown_as_they_are_written() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(_table([Score("[red]is[/bold]", 1, 1.0), Score("all", 1, 1.0)]))
    assert isinstance(console.file, io.StringIO)
    assert "[red]is[/bold]" in console.file.getvalue()
