"""Heat maps of indirect effects: in a page, colored by its style, and as files that stand alone."""

from __future__ import annotations

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import bar, clip, panel, text
from evaluation.tracing.average import Line, Map
from evaluation.tracing.terms import Site

TITLES: dict[Site, str] = {"hidden": "Hidden states", "mlp": "MLP outputs", "attention": "Attention outputs"}
LEFT, TOP, RIGHT = 150.0, 34.0, 336.0
ROW = 17
"""How high a line is, if there are few."""
TALL = 420
"""How high all lines are at most."""
NUMBERS = 25
"""How wide a cell has to be, for its number to stand in it."""
FAINT = 0.01
"""Cells below this share of the strongest one have no color."""
DARK = 0.55
"""Cells above this share of the strongest one have light numbers."""
TICKS = 12
LETTERS = 26

STYLE = """
.heat { fill: var(--heat); } .cold { fill: var(--never); } .ground { fill: var(--track); }
svg .cell { font-size: 9.5px; fill: var(--ink); } svg .cell.dark { fill: var(--paper); }
svg .tiny { font-size: 9px; }
.advice { margin: 12px 0 0; max-width: 74ch; }
:root, .light { --heat: #0b5c97; } @media (prefers-color-scheme: dark) { :root { --heat: #6cb8ef; } }
"""
"""For pages; the other colors are those of all pages."""
_ALONE = """
svg { background: #ffffff; }
text { font: 11px sans-serif; fill: #5b6068; }
.head { font-size: 13px; font-weight: 600; fill: #1f2328; } .tiny { font-size: 9px; }
.heat { fill: #0b5c97; } .cold { fill: #b4372d; } .ground { fill: #f0eee9; }
.cell { font-size: 9.5px; fill: #1f2328; } .cell.dark { fill: #ffffff; }
"""


def heat_map(found: Map, title: str = "") -> Html:
    """Lines of positions over the layers; the strongest cell has the full color."""
    height, content, note = _drawn(found)
    return panel(title or TITLES[found.site], height, *content, note=note)


def heat_file(found: Map, title: str) -> bytes:
    """The same as a file, in the colors of paper."""
    height, content, note = _drawn(found)
    style = tag("style", Html(_ALONE))
    drawn = panel(title, height, style, *content, note=note)
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" width="680"', 1).encode()


def _drawn(found: Map) -> tuple[float, list[Html], str]:
    """Height, content, and what the full color means."""
    strongest = max((abs(value) for line in found.lines for value in line.values), default=0.0) or 1.0
    row = min(ROW, TALL / len(found.lines))
    width = (RIGHT - LEFT) / len(found.lines[0].values)
    rows = [_row(line, TOP + row * place, (width, row), strongest) for place, line in enumerate(found.lines)]
    bottom = TOP + row * len(found.lines)
    axis = _axis(len(found.lines[0].values), width, bottom)
    return bottom + 32, [*rows, axis], f"full color: {strongest:.2f}"


def _row(line: Line, top: float, size: tuple[float, float], strongest: float) -> Html:
    width, height = size
    kind = "label" if height >= 11 else "label tiny"
    parts = [bar(LEFT, top, RIGHT - LEFT - 0.7, max(0.5, height - 0.7), class_="ground")]
    if height >= 7:
        parts.append(text(LEFT - 6, top + height / 2 + 4, clip(line.name, LETTERS), kind, "end"))
    for layer, value in enumerate(line.values):
        left, share = LEFT + width * layer, abs(value) / strongest
        over = f" (mean of {line.prompts} prompts)" if line.prompts > 1 else ""
        tip = f"{line.name}, layer {layer}: {value:+.3f}{over}"
        box = (left, top, max(0.5, width - 0.7), max(0.5, height - 0.7))
        # Most cells of a large model would be drawn in vain.
        if share >= FAINT:
            color = "heat" if value >= 0 else "cold"
            parts.append(bar(*box, tip, class_=color, fill_opacity=f"{share:.2f}"))
        if width >= NUMBERS and height >= 11:
            number = f"{value:.2f}".replace("0.", ".", 1)
            kind_of = "cell dark" if share > DARK else "cell"
            shown = "0" if abs(value) < 0.005 else number
            parts.append(text(left + width / 2, top + height / 2 + 3.5, shown, kind_of, "middle"))
    return join(parts)


def _axis(layers: int, width: float, bottom: float) -> Html:
    step = -(-layers // TICKS)
    numbers = [
        text(LEFT + width * (layer + 0.5), bottom + 13, str(layer), "axis", "middle")
        for layer in range(0, layers, step)
    ]
    return join([*numbers, text((LEFT + RIGHT) / 2, bottom + 27, "layer", "axis", "middle")])
