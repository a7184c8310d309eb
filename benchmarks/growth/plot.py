"""The measurements as a plot: processor time a row, and peak memory, by the number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log10

from benchmarks.growth.datasets import Dealt
from benchmarks.growth.measuring import Measured
from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import WIDTH, Scale, dot, line, text

ENGINE = {"first": "first run", "again": "all done", "cut": "cut anew"}
DATASETS = {"publish": "publish", "audit": "audit", "published": "published"}
"""What was measured, and how it is called at the end of its line."""
COLORS = ("#1f6f8b", "#c46210", "#6b4c9a")
GAP, TOP, BOTTOM = 30.0, 40.0, 190.0
STYLE = (
    "text{font:12px sans-serif;fill:#333}.head{font-weight:bold}.grid{stroke:#ddd}"
    ".most{stroke:#b00;stroke-dasharray:4 3}"
    + "".join(
        f"text.{kind}{{fill:{color}}}"
        for of in (ENGINE, DATASETS)
        for kind, color in zip(of, COLORS, strict=True)
    )
)


def draw(measured: Sequence[Measured | Dealt], kinds: Mapping[str, str], time: float, memory: float) -> bytes:
    """An SVG file of two panels side by side; `time` and `memory` are what shall not be exceeded."""
    panels = [
        _panel(measured, kinds, "Microseconds of a processor a row", "", time),
        _panel(measured, kinds, "Peak memory in megabytes", "_peak", memory),
    ]
    placed = [
        tag("g", one, transform=f"translate({place * (WIDTH + GAP):.0f},0)")
        for place, one in enumerate(panels)
    ]
    width, height = 2 * WIDTH + GAP, BOTTOM + 40
    shown = tag(
        "svg",
        tag("style", STYLE),
        tag("rect", width=width, height=height, fill="#fff"),
        *placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
    )
    return f"{shown}\n".encode()


def _panel(
    measured: Sequence[Measured | Dealt],
    kinds: Mapping[str, str],
    title: str,
    field: str,
    most: float,
) -> Html:
    found = {kind: [getattr(one, kind + field) for one in measured] for kind in kinds}
    top = most * ceil(max(most, *(max(of) for of in found.values())) * 1.1 / most * 4) / 4
    across = Scale(log10(measured[0].rows), log10(measured[-1].rows), 40, WIDTH - 70)
    up = Scale(0, top, BOTTOM, TOP)
    parts = [line(40, up(tick), WIDTH - 70, up(tick)) for tick in (0, most / 2)]
    parts += [line(40, up(most), WIDTH - 70, up(most), "most")]
    parts += [text(34, up(tick) + 4, f"{tick:.0f}", anchor="end") for tick in (0, most / 2, most)]
    parts += [
        text(across(log10(one.rows)), BOTTOM + 18, f"{one.rows:,}", anchor="middle") for one in measured
    ]
    for color, numbers in zip(COLORS, found.values(), strict=True):
        places = [
            (across(log10(one.rows)), up(number)) for one, number in zip(measured, numbers, strict=True)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(tag("polyline", points=points, fill="none", stroke=color))
        parts += [dot(x, y, 3, fill=color) for x, y in places]
    return join([text(0, 13, title, "head"), *parts, _names(found, kinds, up)])


def _names(found: Mapping[str, list[float]], kinds: Mapping[str, str], up: Scale) -> Html:
    """At the ends of the lines, never closer than letters are high."""
    names, above = [], BOTTOM + 14
    for kind, numbers in sorted(found.items(), key=lambda one: one[1][-1]):
        above = min(up(numbers[-1]) + 4, above - 14)
        names.append(text(WIDTH - 62, above, kinds[kind], kind))
    return join(names)
