from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from evaluation.cli import app


def test_a_stream_from_the_command_line_and_its_report(long_dataset: Path, tmp_path: Path) -> None:
    words = [
        *("--method", "ft,ft-dataset", "--dataset", str(long_dataset), "--stream", "1,2", "--orders", "1"),
        *("--conflicts", "--protocol", "legacy", "--device", "cpu"),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
    ]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Left out, as what makes all edits at once has no stream: ft-dataset." in result.output
    assert "edits one after the other" in result.output
    assert {path.name for path in (tmp_path / "out" / "vqa").iterdir()} == {"unedited", "streams"}
    assert (tmp_path / "out" / "streams.csv").exists()
    again = CliRunner().invoke(app, ["report", str(tmp_path / "out")], catch_exceptions=False)
    assert again.exit_code == 0
    assert "Edits one after the other" in (tmp_path / "out" / "report.html").read_text()


def test_a_preset_from_the_command_line(long_dataset: Path, tmp_path: Path) -> None:
    words = [
        *("--method", "ft", "--dataset", str(long_dataset), "--stream", "t-patcher"),
        *("--protocol", "legacy", "--device", "cpu"),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
    ]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "preset t-patcher" in " ".join(result.output.split())
    assert "TrainR,1.0" in (tmp_path / "out" / "presets.csv").read_text()
