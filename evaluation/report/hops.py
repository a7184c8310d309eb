"""Portability by the number of hops: of all that was asked, and where the unedited model knew the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluation.drawing.markup import Html, join, tag
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import Board
from evaluation.report.formats import TASK_TITLES, Table, as_html, by_run, cell
from evaluation.report.runs import Run
from evaluation.results.summary import HOPS, Estimate, Measure, estimated
from mmedit_build.rows import Task


def hop_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each protocol; none where no run has portability."""
    tables = (_table(task, protocol, runs) for protocol in PROTOCOLS)
    return [table for table in tables if table.rows]


def portability(board: Board) -> Html:
    """Portability by hop; nothing where no run has it."""
    tables = hop_tables(board.task, board.runs)
    if not tables:
        return Html()
    about = (
        "What follows from the edit in so many steps, asked about its image. Known are the questions of "
        "which the unedited model answers right what has to be known besides, asked in words alone."
    )
    parts = [tag("h3", "Portability by hop"), tag("p", about, class_="lead")]
    for table in reversed(tables):
        title = table.title.partition(", ")[2].capitalize()
        parts += [tag("p", f"{title}. {table.note}", class_="lead"), as_html(table, table.title)]
    return join(parts)


def _table(task: Task, protocol: ProtocolName, runs: Sequence[Run]) -> Table:
    columns = dict(_columns(task, protocol, runs))
    shown = [run for run in runs if any(run.name in found for _, found in columns.values())]
    rows = tuple(
        (run.name, *(cell(found.get(run.name), of) for of, found in columns.values())) for run in shown
    )
    score = PROTOCOLS[protocol].main(task, "portability")
    numbers = ", ".join(
        f"{title}: {max(one.edits for one in found.values()):,}" for title, (_, found) in columns.items()
    )
    note = f"In percent, with 95% intervals: {metric(protocol, score).title}. Edits that have it: {numbers}."
    name = f"{TASK_TITLES[task]}, {protocol} protocol: portability by hop"
    keys = {title: of.key for title, (of, _) in columns.items()}
    return Table(name, ("method", *columns), rows, note, cases=by_run(shown, keys))


def _columns(
    task: Task, protocol: ProtocolName, runs: Sequence[Run]
) -> Iterator[tuple[str, tuple[Measure, dict[str, Estimate]]]]:
    """The hops that any run has, each with its estimates by run."""
    score = PROTOCOLS[protocol].main(task, "portability")
    for number, (hop, known) in enumerate(HOPS.items(), start=1):
        words = f"{number} hop{'s' * (number > 1)}"
        for title, group in ((words, hop), (f"{words} known", known)):
            of = Measure(protocol, "portability", score, group)
            found = {run.name: one for run in runs if (one := estimated(run.results, of)) is not None}
            if found:
                yield title, (of, found)
