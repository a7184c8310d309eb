"""Texts in cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)


def cell(value: object) -> str:
    """What a table shows of a value."""
    return one_line(str(value)).replace("|", "\\|")


def one_line(text: str) -> str:
    return " ".join(text.split())
