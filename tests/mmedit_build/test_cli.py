from __future__ import annotations

import inspect
from pathlib import Path

from typer.testing import CliRunner

from mmedit_build.cli import app, miniature
from mmedit_build.miniature.sources import write_sources


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
