"""The KL divergence of every single edit, which means hide: a few large ones may make up all of a mean."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from statistics import median

from evaluation.data.cases import Kind
from evaluation.drawing.markup import Html, join
from evaluation.drawing.svg import Scale, dot, figure, line, panel, text
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import Board
from evaluation.report.formats import cases_of
from evaluation.report.plots import row_name
from evaluation.report.runs import Run
from evaluation.results.summary import Group, Measure, values

FLOOR = 1e-8
"""What is less counts as nothing: rounding makes as much."""
POINTS = 250
"""Edits of a method that are shown, evenly spaced, where there are more."""
STEP = 30
_LEFT, _RIGHT = 92.0, 282.0
_SCORE = "kl"
_PLACES: tuple[tuple[str, Kind, Group], ...] = (
    ("Text locality", "text_locality", "far"),
    ("Image locality, far", "image_locality", "far"),
    ("Image locality, near", "image_locality", "near"),
)


def divergences(board: Board) -> Html:
    """One panel for each kind of locality, one row a method, one point an edit."""
    panels = [
        _panel(board, title, Measure(protocol, kind, _SCORE, group))
        for protocol in board.protocols
        if _SCORE in PROTOCOLS[protocol].metrics
        for title, kind, group in _PLACES
    ]
    note = (
        "One point an edit, in nats, on a logarithmic scale: how far the answer's distribution moved from "
        "where it was before the edit. The tick and the number are the median."
    )
    return figure("KL divergence, edit by edit", note, [one for one in panels if one])


def _panel(board: Board, title: str, of: Measure) -> Html:
    found = {run.name: values(run.results, of) for run in board.edited}
    found = {name: of_run for name, of_run in found.items() if of_run}
    if not found:
        return Html()
    scale = _scale([value for of_run in found.values() for value in of_run.values()])
    bottom = 30 + STEP * len(found)
    rows = [
        _row(board, run, of, found[run.name], scale, 30 + STEP * number)
        for number, run in enumerate(run for run in board.edited if run.name in found)
    ]
    return panel(title, bottom + 16, _grid(scale, bottom), *rows, note="median" if rows else "")


def _scale(found: Sequence[float]) -> Scale:
    """Of exponents; what is zero lies below the least that is not."""
    powers = [log10(value) for value in found if value >= FLOOR] or [-1.0]
    low, high = floor(min(powers)), max(ceil(max(powers)), floor(min(powers)) + 1)
    return Scale(low - 1.6, high, _LEFT, _RIGHT)


def _grid(scale: Scale, bottom: float) -> Html:
    low, high = ceil(scale.low + 1), int(scale.high)
    powers = range(low, high + 1, max(1, ceil((high - low) / 4)))
    ticks = [(scale.low, "0"), *((float(power), _power(power)) for power in powers)]
    lines = [line(scale(tick), 24, scale(tick), bottom) for tick, _ in ticks]
    names = [text(scale(tick), bottom + 13, words, anchor="middle") for tick, words in ticks]
    return join([*lines, *names])


def _power(exponent: int) -> str:
    """A power of ten."""
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return "1" if exponent == 0 else f"10{digits}"


def _row(board: Board, run: Run, of: Measure, found: dict[str, float], scale: Scale, top: float) -> Html:
    paint, middle = board.looks[run.name].paint, median(found.values())
    names = list(found)[:: ceil(len(found) / POINTS)]
    points = [
        dot(
            *(_place(found[name], scale), top + 4 + _spread(number) * (STEP - 12), 2.2),
            f"{run.name}, {name}: {_short(found[name])}",
            class_="edit",
            fill=paint,
            data_cases=cases_of([], view="edit", edit=name),
        )
        for number, name in enumerate(names)
    ]
    at = _place(middle, scale)
    every = cases_of([run], measure=of.key, show="", sort="high")
    return join(
        [
            row_name(board, run, top + 14),
            *points,
            line(at, top, at, top + STEP - 6, "median"),
            text(340, top + 14, _short(middle), "value", "end", data_cases=every),
        ]
    )


def _place(value: float, scale: Scale) -> float:
    return scale(scale.low if value < FLOOR else log10(value))


def _spread(number: int) -> float:
    """From 0 to 1, never close to the places of the numbers before: multiples of the golden ratio."""
    return number * 0.6180339887 % 1


def _short(value: float) -> str:
    if value < FLOOR:
        return "0"
    factor, _, exponent = f"{value:.1e}".partition("e")
    return f"{value:.2g}" if value >= 0.001 else f"{factor}·{_power(int(exponent))}"
