"""Tables of text, how they are written for people and for papers, and numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mode
from urllib.parse import urlencode

from evaluation.drawing.markup import Html, tag
from evaluation.protocols.known import metric
from evaluation.report.names import published
from evaluation.report.runs import SINGLE, Run
from evaluation.results.summary import Estimate, Measure, outlines
from mmedit_build.rows import Task

TASK_TITLES: dict[Task, str] = {"vqa": "Visual questions", "caption": "Captions"}
NO_VALUE = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: bool = False
    """Whether its cells are words rather than numbers."""
    cases: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """By row and title of column, of which cases a number is: see `cases_of`."""
    best: frozenset[tuple[int, str]] = frozenset()
    """By row and title of column, which numbers a page has in bold."""


def cell(found: Estimate | None, of: Measure) -> str:
    """A mean with its interval."""
    if found is None:
        return NO_VALUE
    low, high = (number(one, of) for one in (found.low, found.high))
    return f"{number(found.mean, of)} [{low}, {high}]"


def number(found: float, of: Measure) -> str:
    """In percent where that makes sense."""
    return f"{100 * found:.1f}" if of.percent else f"{found:.3f}"


def meaning(columns: Mapping[str, Measure]) -> str:
    """What is counted, by the titles of columns."""
    titles: dict[str, list[str]] = {}
    for title, of in columns.items():
        titles.setdefault(metric(of.protocol, of.metric).title, []).append(title)
    return "; ".join(f"{', '.join(some)}: {name}" for name, some in titles.items())


def on_edits(rows: Mapping[str, Sequence[Run]]) -> str:
    """On how many edits the runs of rows were judged: said once, and of each row that has another number."""
    numbers = {name: _judged(runs) for name, runs in rows.items()}
    most = mode(numbers.values())
    others = "".join(f"; {name} on {number}" for name, number in numbers.items() if number != most)
    return f"On {most} edits{others}."


def _judged(runs: Sequence[Run]) -> str:
    counts = [sum(result.scored for result in outlines(run.results)) for run in runs]
    low, high = min(counts), max(counts)
    return f"{low:,} to {high:,}" if low < high else f"{high:,}"


def as_markdown(table: Table) -> str:
    """A table for people."""
    lines = [
        table.header,
        ("---", *("---" if table.words else "---:" for _ in table.header[1:])),
        *table.rows,
    ]
    texts = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    note = f"\n{table.note}\n" if table.note else ""
    return f"## {table.title}\n\n" + "\n".join(texts) + f"\n{note}"


def cases_of(runs: Iterable[Run], **asked: object) -> str:
    """Of which cases of some runs a number is, for a viewer behind the page, which makes links of it.

    `asked` is what the viewer's addresses have: the measure of single edits, or `view` and more of streams.
    """
    single = (one for run in runs for one in run.seeds or (run,))
    return urlencode([*(("run", known_as(run)) for run in single), *asked.items()], safe="/")


def known_as(run: Run) -> str:
    """The name by which a viewer knows a run or streams."""
    return published(run.name.removesuffix(SINGLE), run.header.settings.preset)


def by_run(rows: Sequence[Run], keys: Mapping[str, str]) -> dict[tuple[int, str], str]:
    """The cases of a table that has a row for each run; `keys` has the measures of its columns."""
    return {
        (place, title): cases_of([run], measure=key)
        for place, run in enumerate(rows)
        for title, key in keys.items()
    }


def as_html(table: Table, name: str) -> Html:
    """A table for a page."""
    heads = [tag("th", title, scope="col") for title in table.header]
    rows = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag(
                    *("td", *_below(text, best=(place, title) in table.best)),
                    data_label=title,
                    data_cases=table.cases.get((place, title)),
                )
                for title, text in zip(table.header[1:], row[1:], strict=True)
            ),
        )
        for place, row in enumerate(table.rows)
    ]
    drawn = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="costs")
    return scrolled(drawn, name)


def _below(text: str, *, best: bool) -> list[str | Html]:
    """A mean, in bold if it is the best, and below it its interval, or its deviation where there is none."""
    below = " [" if " [" in text else " ± "
    mean, found, rest = text.partition(below)
    shown = tag("b", mean) if best else mean
    return [shown, tag("span", below.lstrip() + rest)] if found else [shown]


def scrolled(table: Html, name: str) -> Html:
    """A table that scrolls by itself where it is too wide, also by keyboard."""
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=name)
