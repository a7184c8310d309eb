from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.console import log_files, log_to, progress
from mmedit_build.errors import UserError


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_progress_is_shown_and_logged_and_never_markup(
    terminal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    with log_to(tmp_path / "log.txt"), progress("[/] of [bold]x[/bold]", 2) as advance:
        advance(2, "[/]")
    shown = capsys.readouterr().err
    assert "[/] of [bold]x[/bold]" in shown
    assert ("\x1b" in shown) is (terminal == "1")
    assert (shown.splitlines()[0] == "[/] of [bold]x[/bold]: 0 of 2") is (terminal == "0")
    assert " INFO [/] of [bold]x[/bold]: 2 of 2 in 0:00:00, [/]\n" in (tmp_path / "log.txt").read_text()


def test_work_that_stops_tells_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        with progress("work", 3) as advance:
            advance(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert capsys.readouterr().err.splitlines()[-1] == "work: 1 of 3 in 0:00:00"


def test_logs_go_where_they_are_wanted_only_meanwhile(tmp_path: Path) -> None:
    with log_to(tmp_path / "new" / "log.txt"):
        assert log_files() == [tmp_path / "new" / "log.txt"]
    assert log_files() == []
    with pytest.raises(UserError, match=r"Cannot write .*new \(Is a directory\)"), log_to(tmp_path / "new"):
        pass
