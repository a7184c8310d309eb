"""Tables of results for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rich.table import Table
from rich.text import Text

from evaluation.report.formats import Table as Plain
from evaluation.report.judged import judged_tables
from evaluation.report.preset_tables import preset_tables
from evaluation.report.runs import Run
from evaluation.report.seeds import seed_tables
from evaluation.report.stream_seeds import stream_seed_tables
from evaluation.report.stream_tables import StreamRun, stream_tables
from evaluation.report.tables import cost_table, main_tables
from mmedit_build.rows import Task


def tables(
    runs: dict[Task, list[Run]], streams: Mapping[Task, Sequence[StreamRun]] = MappingProxyType({})
) -> list[Table]:
    """The main tables, with all seeds of a setting in one row, and what each method took."""
    costs = [cost_table(task, of_task) for task, of_task in runs.items()]
    main = [
        table
        for task, of_task in runs.items()
        for table in seed_tables(task, of_task) or main_tables({task: of_task})
    ]
    of_streams = [*stream_seed_tables(streams), *stream_tables(streams), *preset_tables(streams)]
    plain = [*main, *of_streams, *costs]
    return [_drawn(table) for table in plain]


def judged(runs: dict[Task, list[Run]]) -> list[Table]:
    """What judges said."""
    return [_drawn(table) for task, of_task in runs.items() for table in judged_tables(task, of_task)]


def _drawn(table: Plain) -> Table:
    drawn = Table(table.header[0], title=table.title, caption=table.note or None)
    for title in table.header[1:]:
        drawn.add_column(title, justify="right")
    for row in table.rows:
        # Texts, as the brackets of intervals would be read as markup; the intervals below their means.
        drawn.add_row(*(Text(cell.replace(" [", "\n[").replace(", ", " ")) for cell in row))
    return drawn
