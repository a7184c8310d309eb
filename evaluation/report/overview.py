"""What sort of method each one is: what it changes, what it needs, and how much of it there is."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.drawing.markup import Html, join, tag
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table
from evaluation.report.runs import Run, by_family
from evaluation.results.summary import outlines
from evaluation.run.experiment import UNEDITED
from mmedit_build.rows import Task

HEADER = (
    *("method", "family", "base parameters", "extra training", "batch edit", "edited area"),
    *("parameters per edit", "parameters of the editor"),
)


def overview_table(task: Task, runs: Sequence[Run]) -> Table:
    """One row a method, all of it from what its runs noted."""
    rows = tuple(_row(run) for run in one_of_each(runs))
    return Table(f"{TASK_TITLES[task]}: methods", HEADER, rows, words=True)


def overview(task: Task, runs: Sequence[Run]) -> Html:
    """The table for a page, families under headings of their own."""
    titles = [title for title in HEADER if title != "family"]
    heads = [tag("th", title, scope="col") for title in titles]
    bodies = [
        tag("tbody", family_row(family, len(titles)), *(_shown(titles, run) for run in of))
        for family, of in by_family(one_of_each(runs))
    ]
    if not bodies:
        return Html()
    table = tag("table", tag("thead", tag("tr", *heads)), *bodies, class_="settings facts")
    note = (
        "Told by the methods and by the patches that they planned here. Parameters per edit are those that a "
        "patch changes or adds; those of the editor are the numbers that it keeps of what it learned."
    )
    parts = [tag("h3", "The methods"), tag("p", note, class_="lead")]
    name = f"{TASK_TITLES[task]}: methods"
    return join([*parts, tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=name)])


def family_row(family: str, columns: int) -> Html:
    """The heading of a family's rows; nothing where the family is not known."""
    if not family:
        return Html()
    name = family[:1].upper() + family[1:]
    return tag("tr", tag("th", name, colspan=columns, scope="rowgroup"), class_="family")


def one_of_each(runs: Sequence[Run]) -> list[Run]:
    """The runs with the fewest edits at once of each method."""
    edited = [run for run in runs if run.header.settings.method != UNEDITED]
    fewest: dict[str, int] = {}
    for run in edited:
        method = run.header.settings.method
        fewest[method] = min(run.at_once, fewest.get(method, run.at_once))
    return [run for run in edited if run.at_once == fewest[run.header.settings.method]]


def in_words(area: dict[str, tuple[int, ...]]) -> str:
    """An area, such as `MLP of layers 3 to 5`."""
    return ", ".join(_part(what, layers) for what, layers in area.items()) or NO_VALUE


def _part(what: str, layers: tuple[int, ...]) -> str:
    if not layers:
        return what
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        numbers = f"{layers[0]} to {layers[-1]}"
    else:
        numbers = " and ".join(filter(None, [", ".join(map(str, layers[:-1])), str(layers[-1])]))
    where = f"layer{'s' if len(layers) > 1 else ''} {numbers}"
    return f"{what} of {where}" if what else where


def _shown(titles: Sequence[str], run: Run) -> Html:
    cells = dict(zip(HEADER, _row(run), strict=True))
    head = tag("th", cells["method"], scope="row")
    return tag("tr", head, *(tag("td", tag("div", cells[title]), data_label=title) for title in titles[1:]))


def _row(run: Run) -> tuple[str, ...]:
    about = run.header.about
    if about is None:
        return (run.name, *[NO_VALUE] * 5, _per_edit(run, ""), NO_VALUE)
    return (
        run.name,
        about.family,
        "preserved" if about.preserves else "changed",
        _training(run),
        "yes" if about.batch else "no",
        in_words(about.area),
        _per_edit(run, "added" if about.preserves else "changed"),
        NO_VALUE if about.learned is None else f"{about.learned:,}",
    )


def _training(run: Run) -> str:
    seconds = run.header.fit_seconds
    return "no" if seconds is None else f"yes, {seconds:.1f} s"


def _per_edit(run: Run, how: str) -> str:
    changed = [result.changed for result in outlines(run.results) if result.scored]
    if not any(changed):
        return "none" if changed else NO_VALUE
    number = f"{min(changed):,} to {max(changed):,}" if min(changed) < max(changed) else f"{changed[0]:,}"
    several = f" for {run.at_once} edits" if run.at_once > 1 else ""
    return f"{number} {how}".strip() + several
