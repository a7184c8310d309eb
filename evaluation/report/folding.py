"""What a page shows first where there are many methods: the best few. The rest is there, too, folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from evaluation.drawing.markup import Html, join, tag
from evaluation.report.board import Board
from evaluation.report.runs import Run


def folded(board: Board, draw: Callable[[Board], Html]) -> Html:
    """Something drawn of the runs to show first, and of the others where a reader unfolds them."""
    near, far = ([run for run in board.runs if (run.name in board.foremost) is of] for of in (True, False))
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
    if board.foremost.issuperset(run.name for run in board.runs):
        return ""
    return (
        "Of so many methods, plots show the best of each family and the best of the rest, by the mean of "
        "all headline numbers; the others are folded away below each."
    )
