"""Tables in terminals of any width: nothing is cut."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from evaluation.report.fitting import DASH, Fitted
from evaluation.report.formats import Table

NAMES = ("serac-image", "ft-dataset@1000", "somebody.elses.very_long_module_name.WithAClass")
HEADER = ("method", "Rel", "T-Gen", "I-Gen", "Port", "Port known", "T-Loc", "I-Loc", "I-Loc near")
CELL = "97.3 [90.7, 100.0]"
TABLE = Table("Visual questions", HEADER, tuple((name, *[CELL] * 8) for name in NAMES), "In percent.")


def drawn(table: Table, width: int) -> list[str]:
    console = Console(width=width, file=None, record=True, quiet=False)
    with console.capture() as captured:
        console.print(Fitted(table))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_name_and_number_is_whole(width: int) -> None:
    lines = drawn(TABLE, width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert text.count("97.3") == text.count(f"90.7{DASH}100") == 8 * len(NAMES)
    for name in NAMES[:2]:
        assert re.search(rf"^{name} ", text, re.MULTILINE)


def test_a_usual_table_is_one_at_80_columns() -> None:
    usual = Table("Usual", HEADER[:7], tuple((name, *[CELL] * 6) for name in NAMES[:2]))
    assert "of" not in "\n".join(drawn(usual, 80))
    assert "Visual questions (1 of 2)" in "\n".join(drawn(TABLE, 80))


def test_a_last_column_of_long_numbers_is_whole_beside_titles_of_two_words() -> None:
    header = ("method", "edits", "skipped", "fit (s)", "edit (s)", "probe (s)", "peak (MB)", "changed")
    row = ("mine_ed.MyEditor, seed 0", "75", "0", "27.1", "0.028", "0.0042", "1128", "131,712")
    text = "\n".join(drawn(Table("Cost", header, (row,)), 80))
    assert "131,712" in text
    assert "changed" in text
