"""Locality by kind of item, and what became of questions that the unedited model answers wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.data.cases import Kind
from evaluation.drawing.markup import Html, join, tag
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import Board
from evaluation.report.formats import TASK_TITLES, Table, as_html, by_run, cell
from evaluation.report.runs import Run
from evaluation.results.summary import Estimate, Group, Measure, estimated
from mmedit_build.rows import Task

KEPT: dict[str, tuple[Kind, Group]] = {
    "other fact": ("text_locality", "far"),
    "its question, other subject": ("text_locality", "same_question"),
    "its question, no image": ("text_locality", "no_image"),
    "its question, other image": ("image_locality", "same_question"),
    "other question, its image": ("image_locality", "same_image"),
    "similar question, its image": ("image_locality", "similar_question"),
    "similar question and image": ("image_locality", "near_right"),
    "other source": ("image_locality", "far"),
    "unlike both": ("image_locality", "far_right"),
}
"""Items that an edit shall leave alone, by the title of their column; nearest to the edit first."""
GAINED: dict[str, tuple[Kind, Group]] = {
    "similar question and image": ("gain", "near_wrong"),
    "unlike both": ("gain", "far_wrong"),
}
"""Items that the base model answers wrong."""
TITLES = {"locality by kind": KEPT, "gain": GAINED}
_ABOUT = (
    "What an edit shall leave alone, by how it lies to the edit. Without its image the question has no right "
    "answer: who answers the target there does not look. Gain is what became right of questions that the "
    "unedited model answers wrong; an edit may help there, but need not."
)

Found = Mapping[str, tuple[Measure, Mapping[str, Estimate]]]
"""By column, what it measures, and its estimates by run."""


def locality_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each protocol and each of locality and gain; none of what no run has several kinds of."""
    tables = (_table(task, protocol, title, runs) for protocol in PROTOCOLS for title in TITLES)
    return [table for table in tables if table is not None]


def localities(board: Board) -> Html:
    """The tables for a page; nothing where all locality is far."""
    tables = locality_tables(board.task, board.runs)
    if not tables:
        return Html()
    parts = [tag("h3", "Locality by kind"), tag("p", _ABOUT, class_="lead")]
    for table in tables:
        title = table.title.partition(", ")[2].capitalize()
        parts += [tag("p", f"{title}. {table.note}", class_="lead"), as_html(table, table.title)]
    return join(parts)


def _table(task: Task, protocol: ProtocolName, title: str, runs: Sequence[Run]) -> Table | None:
    found = _found(task, protocol, title, runs)
    if len({of.relation for of, _ in found.values()}) < 2:
        return None
    shown = [run for run in runs if any(run.name in of_run for _, of_run in found.values())]
    rows = tuple(
        (run.name, *(cell(of_run.get(run.name), of) for of, of_run in found.values())) for run in shown
    )
    scores = ", ".join(dict.fromkeys(metric(protocol, of.metric).title for of, _ in found.values()))
    numbers = ", ".join(
        f"{column} {max(one.edits for one in of_run.values()):,}" for column, (_, of_run) in found.items()
    )
    note = f"In percent, with 95% intervals: {scores}. Edits that have it: {numbers}."
    name = f"{TASK_TITLES[task]}, {protocol} protocol: {title}"
    keys = {column: of.key for column, (of, _) in found.items()}
    return Table(name, ("method", *found), rows, note, cases=by_run(shown, keys))


def _found(task: Task, protocol: ProtocolName, title: str, runs: Sequence[Run]) -> Found:
    found: dict[str, tuple[Measure, Mapping[str, Estimate]]] = {}
    for column, (kind, group) in TITLES[title].items():
        of = Measure(protocol, kind, PROTOCOLS[protocol].main(task, kind), group)
        of_run = {run.name: one for run in runs if (one := estimated(run.results, of)) is not None}
        if of_run:
            found[column] = (of, of_run)
    return found
