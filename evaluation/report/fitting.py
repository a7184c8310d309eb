"""Tables that fit the terminal: where a table is too wide, its columns go on in another one below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

from evaluation.report.formats import Table as Plain

GAP = 2
"""Between columns."""
DASH = "\N{EN DASH}"
"""Between the ends of an interval."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table of which no cell is cut, however narrow the terminal is: names least of all."""

    table: Plain

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[_stacked(cell) for cell in row] for row in self.table.rows]
        titles = [title.replace(" ", "\n") for title in self.table.header]
        widths = [max(map(_width, column)) for column in zip(titles, *rows, strict=True)]
        # One that is longer than that, such as the place of somebody's own method, goes on in the next line.
        widths[0] = min(widths[0], options.max_width // 2)
        parts = list(_parts(widths, options.max_width))
        for number, part in enumerate(parts):
            goes_on = f" ({number + 1} of {len(parts)})" if len(parts) > 1 else ""
            drawn = Table(
                Column(self.table.header[0], width=widths[0], overflow="fold"),
                *(
                    Column(self.table.header[place], justify="right", overflow="fold", width=widths[place])
                    for place in part
                ),
                title=f"{self.table.title}{goes_on}",
                caption=self.table.note or None if part is parts[-1] else None,
                box=SIMPLE_HEAD,
                padding=(0, GAP - 1, 0, 0),
                pad_edge=False,
                show_edge=False,
            )
            for row in rows:
                # Texts, as brackets would be read as markup.
                drawn.add_row(*(Text(row[place]) for place in (0, *part)))
            yield Text("")
            yield drawn


def _stacked(cell: str) -> str:
    """An interval below its mean."""
    mean, bracket, interval = cell.partition(" [")
    short = interval.rstrip("]").replace(", ", DASH).replace("100.0", "100")
    return f"{mean}\n{short}" if bracket else cell


def _width(cell: str) -> int:
    return max(map(len, cell.split("\n")))


def _parts(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """The places of the columns besides the first that stand side by side; one at least."""
    part: list[int] = []
    left = width - widths[0]
    for place, needed in enumerate(widths[1:], 1):
        if part and left < GAP + needed:
            yield part
            part, left = [], width - widths[0]
        part.append(place)
        left -= GAP + needed
    yield part
