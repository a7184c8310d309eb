from __future__ import annotations

import pytest

from mmedit_build.console import progress


def test_what_is_told_of_progress_is_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("[/] of [bold]x[/bold]", 2) as advance:
        advance(2, "[/]")
    assert "[/] of [bold]x[/bold]" in capsys.readouterr().err
