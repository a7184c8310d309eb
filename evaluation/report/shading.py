"""Small tables of percents for a page, each cell shaded by its number; several stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.drawing.markup import Html, tag
from evaluation.drawing.svg import clip_name
from evaluation.report.formats import NO_VALUE, scrolled

LETTERS = 16
"""Of the titles of columns, which stand upright."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A share, if there is one, with what it says when a pointer rests on it."""

    share: float | None
    tip: str
    cases: str | None = None
    """See `evaluation.report.formats.cases_of`."""

    def drawn(self) -> Html:
        if self.share is None:
            return tag("td", NO_VALUE, title=self.tip)
        shown, style = f"{100 * self.share:.0f}", f"--share:{self.share:.0%}"
        return tag("td", shown, style=style, title=self.tip, data_cases=self.cases)


@dataclass(frozen=True, slots=True)
class Row:
    """A name, what is noted beside it, and the cells."""

    name: str
    note: str
    cells: Sequence[Cell]

    def drawn(self) -> Html:
        head = tag("th", self.name, *([tag("span", self.note)] if self.note else []), scope="row")
        return tag("tr", head, *(cell.drawn() for cell in self.cells))


def shaded(title: str, note: str, columns: Sequence[str], rows: Sequence[Row], region: str) -> Html:
    """One table; `region` is what those hear who do not see it."""
    heads = [tag("th", tag("span", clip_name(name, LETTERS), title=name), scope="col") for name in columns]
    caption = tag("caption", title, tag("span", note))
    body = tag("tbody", *(row.drawn() for row in rows))
    return scrolled(tag("table", caption, tag("thead", tag("tr", tag("td"), *heads)), body), region)


def side_by_side(tables: Sequence[Html], columns: int) -> Html:
    """Tables of so many columns, as many beside each other as fit."""
    return tag("div", *tables, class_="types", style=f"--runs:{max(7, columns)}")
