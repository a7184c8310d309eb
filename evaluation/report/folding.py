"""What a page shows first where there are many methods: the best few. The rest is there, too, folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from evaluation.drawing.markup import Html, join, tag
from evaluation.report.board import Board, is_unedited
from evaluation.report.runs import Run, by_family

MANY = 16
"""Methods up to which all are shown."""
FEW = 8
"""Those that are shown first of more than that, if there are no more families."""
SANITY = "sanity"


def foremost(board: Board) -> frozenset[str]:
    """The names of runs to show first: the best of each family, then the best of the others.

    The best have the highest mean of all headline numbers, of free answers if there are any. What tests the
    evaluation is not among them, nor what is shown the answers.
    """
    if len(board.edited) <= MANY:
        return frozenset(run.name for run in board.runs)
    ranked = sorted(filter(_may_lead, board.edited), key=lambda run: _mean(board, run), reverse=True)
    first = [max(of, key=lambda run: _mean(board, run)) for _, of in by_family(sorted(ranked, key=_family))]
    chosen = first + [run for run in ranked if run not in first][: max(0, FEW - len(first))]
    return frozenset(run.name for run in [*chosen, *filter(is_unedited, board.runs)])


def folded(board: Board, draw: Callable[[Board], Html]) -> Html:
    """Something drawn of the runs to show first, and of the others where a reader unfolds them."""
    names = foremost(board)
    near, far = ([run for run in board.runs if (run.name in names) is here] for here in (True, False))
    if not far:
        return draw(board)
    return join([draw(replace(board, runs=near)), unfolding(far, draw(replace(board, runs=far)))])


def unfolding(runs: Sequence[Run], *parts: Html) -> Html:
    """What is shown of further methods once a reader wants it; nothing if there is nothing."""
    if not any(parts):
        return Html()
    return tag("details", tag("summary", f"{len(runs)} more methods"), *parts, class_="more others")


def lead(board: Board) -> str:
    """A sentence on what is folded away, if anything is."""
    if len(foremost(board)) == len(board.runs):
        return ""
    return (
        "Of so many methods, plots show the best of each family and the best of the rest, by the mean of "
        "all headline numbers; the others are folded away below each."
    )


def _may_lead(run: Run) -> bool:
    return run.family != SANITY and not (run.header.about and run.header.about.leaks)


def _family(run: Run) -> str:
    return run.family


def _mean(board: Board, run: Run) -> float:
    protocol = board.protocols[-1]
    found = [one.mean for column in board.columns if (one := board.of(protocol, column, run.name))]
    return fmean(found) if found else 0.0
