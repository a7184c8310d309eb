"""Tables of results for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from evaluation.report.fitting import Fitted
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
) -> list[Fitted]:
    """The main tables, with all seeds of a setting in one row, and what each method took."""
    costs = [cost_table(task, of_task) for task, of_task in runs.items()]
    main = [
        table
        for task, of_task in runs.items()
        for table in seed_tables(task, of_task) or main_tables({task: of_task})
    ]
    of_streams = [*stream_seed_tables(streams), *stream_tables(streams), *preset_tables(streams)]
    plain = [*main, *of_streams, *costs]
    return [Fitted(table) for table in plain]


def judged(runs: dict[Task, list[Run]]) -> list[Fitted]:
    """What judges said."""
    return [Fitted(table) for task, of_task in runs.items() for table in judged_tables(task, of_task)]
