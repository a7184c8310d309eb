from __future__ import annotations

import io

from rich.console import Console

from evaluation.vqa import Score
from evaluation.vqa_command import table


def test_types_are_shown_as_they_are_written() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(table([Score("[red]is[/bold]", 1, 1.0), Score("all", 1, 1.0)]))
    assert isinstance(console.file, io.StringIO)
    assert "[red]is[/bold]" in console.file.getvalue()
