"""Traces on the terminal: where the effects are strongest, and the layers to edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.tracing.average import peaks, traced_only
from evaluation.tracing.page import HEADS, advice_of, totals
from evaluation.tracing.pictures import TITLES
from evaluation.tracing.records import Traced
from evaluation.tracing.terms import Kind


def show(found: Mapping[Kind, Sequence[Traced]]) -> None:
    """Print a table and a sentence for each kind of prompt."""
    console = Console()
    for kind, traces in found.items():
        console.print(table(kind, traces))
        console.print(Text(advice_of(traces)))


def table(kind: Kind, traces: Sequence[Traced]) -> Table:
    """Where each sort of state has its strongest effect."""
    number, clean, corrupted = totals(traces)
    title = f"{HEADS[kind]}: {number} prompts, p(answer) {clean:.2f} clean, {corrupted:.2f} corrupted"
    drawn = Table("restored", "strongest at", title=title)
    drawn.add_column("layer", justify="right")
    drawn.add_column("indirect effect", justify="right")
    for site, name, layer, effect in peaks(traced_only(traces)):
        drawn.add_row(TITLES[site], Text(name), str(layer), f"{effect:+.3f}")
    return drawn
