"""What plots are drawn with: panels, axes and marks as inline SVG, colored by the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.drawing.markup import Html, join, number, tag

WIDTH = 340
"""Of a panel; it is as wide as a phone, so its texts are as large there as elsewhere."""
TICKS = (0, 25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def panel(title: str, height: float, *content: str, note: str = "", width: float = WIDTH) -> Html:
    """One plot: its title stands above, its note at the right."""
    head = text(0, 13, title, "head")
    side = text(width, 13, note, "note", "end") if note else ""
    label = f"{title} ({note})" if note else title
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", head, side, *content, viewBox=box, role="img", aria_label=label)


def figure(title: str, note: str, panels: Sequence[str], kind: str = "") -> Html:
    """Plots of the same kind with what is to be said about them; nothing if there are none."""
    if not panels:
        return Html()
    words = tag("figcaption", tag("h3", title), note)
    return tag("figure", words, tag("div", *panels, class_=f"panels {kind}".strip()), class_="plot")


def text(x: float, y: float, words: str, kind: str = "label", anchor: str = "start", **more: object) -> Html:
    return tag("text", words, x=float(x), y=float(y), class_=kind, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid", **more: object) -> Html:
    places = {"x1": float(x1), "y1": float(y1), "x2": float(x2), "y2": float(y2)}
    return tag("line", class_=kind, **places, **more)


def polygon(points: Sequence[tuple[float, float]], kind: str, tip: str = "", **more: object) -> Html:
    places = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return tag("polygon", *_tip(tip), points=places, class_=kind, **more)


def bar(x: float, y: float, width: float, height: float, tip: str = "", **more: object) -> Html:
    sizes = {"x": float(x), "y": float(y), "width": max(0.0, float(width)), "height": float(height)}
    return tag("rect", *_tip(tip), **sizes, **more)


def dot(x: float, y: float, radius: float, tip: str = "", **more: object) -> Html:
    return tag("circle", *_tip(tip), cx=float(x), cy=float(y), r=float(radius), **more)


def percent_grid(x: Scale, y: Scale) -> Html:
    """Lines and numbers at both axes of a square plot, from 0 to 100."""
    parts = []
    for tick in TICKS:
        parts += [
            line(x(0), y(tick), x(100), y(tick)),
            line(x(tick), y(0), x(tick), y(100)),
            text(x(0) - 10, y(tick) + 4, str(tick), anchor="end"),
            text(x(tick), y(0) + 22, str(tick), anchor="middle"),
        ]
    return join(parts)


def clip(words: str, length: int) -> str:
    """At most so many characters."""
    return words if len(words) <= length else f"{words[: length - 1]}…"


def clip_name(name: str, length: int) -> str:
    """The same of a run's name, whose end tells it from others of its method."""
    method, _, rest = name.partition(", ")
    if len(name) <= length or not rest:
        return clip(name, length)
    head = min(len(method), max(4, length - len(rest) - 3))
    return f"{name[:head]}…{name[head + 1 + len(name) - length :]}"


def _tip(tip: str) -> tuple[str, ...]:
    return (tag("title", tip),) if tip else ()
