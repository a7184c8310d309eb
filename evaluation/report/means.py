"""What plots show where there are several seeds: a run for each setting, with the means over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evaluation.report.board import Board, make_board
from evaluation.report.looks import Looks, make_looks
from evaluation.report.runs import Run
from evaluation.report.seeds import Group, grouped, seedless, several
from evaluation.results.stored import averaged
from mmedit_build.rows import Task

NOTE = "Plots, and the tables between them, are of the means over the seeds of each setting."


def mean_runs(runs: Sequence[Run]) -> list[Run]:
    """A run for each setting; the runs themselves where none has several seeds."""
    groups = grouped(runs)
    if not several(groups):
        return list(runs)
    return [_mean(of) for of in groups]


def _mean(of: Group) -> Run:
    first, *others = of.runs
    results = averaged([run.results for run in of.runs]) if others else first.results
    header = seedless(first.header)
    return replace(first, name=of.name, header=header, results=results, seeds=tuple(of.runs))


def mean_board(board: Board) -> Board:
    """The numbers of the settings."""
    runs = mean_runs(board.runs)
    if not any(run.seeds for run in runs):
        return board
    looks = {run.name: board.looks[run.seeds[0].name] for run in runs}
    return make_board(board.task, runs, board.looks | looks)


def looks_of(runs: Mapping[Task, Sequence[Run]]) -> Looks:
    """The looks of all runs of a page; a setting looks the same with every seed."""
    settings = [run for of_task in runs.values() for run in mean_runs(of_task)]
    looks = make_looks(settings)
    return looks | {one.name: looks[run.name] for run in settings for one in run.seeds}
