"""What an evaluation would do, as a table for the terminal and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from evaluation.report.formats import NO_VALUE
from evaluation.run.preview import Outlook
from mmedit_build.meter import duration
from mmedit_build.services.served.cost import Estimate

TRIAL = 20
"""Edits by which a reader is told to measure how long a run takes."""


def table(outlooks: Sequence[Outlook]) -> Table:
    """A row for each run."""
    seeds = len({one.seed for one in outlooks}) > 1
    drawn = Table(title="What would be run")
    for title in ("task", "run", *(["seed"] if seeds else [])):
        drawn.add_column(title)
    served = any(one.asks for one in outlooks)
    for title in ("edits", "there", "left", "s an edit", "left, about", *(["requests"] if served else [])):
        drawn.add_column(title, justify="right")
    for one in outlooks:
        time = one.time
        drawn.add_row(
            *(one.task, one.name, *([str(one.seed)] if seeds else [])),
            *(NO_VALUE,) * 2 if one.refused and not one.wanted else (f"{one.wanted:,}", f"{one.there:,}"),
            "refused" if one.refused else f"{one.left:,}",
            NO_VALUE if one.seconds is None else f"{one.seconds:.2f}",
            "?" if time is None else duration(time),
            *([NO_VALUE if one.asks is None else f"{one.asks.requests:,}"] if served else []),
        )
    return drawn


def sentences(outlooks: Sequence[Outlook]) -> list[str]:
    """What is left in all, what nobody knows, and what would be refused."""
    known = sum(one.time or 0.0 for one in outlooks)
    took = f", about {duration(known)} of them by what their runs took so far" if known else ""
    told = [f"{sum(one.left for one in outlooks):,} edits are left{took}."]
    unknown = [one for one in outlooks if one.time is None]
    if unknown:
        names = ", ".join(dict.fromkeys(one.name for one in unknown))
        told.append(f"How long {names} will take is not known, as nothing of it is there.")
    if any(one.alone for one in unknown):
        told.append(f"For single edits, the command with --limit {TRIAL} measures it; what it does is kept.")
    if not all(one.alone for one in unknown):
        # Those of fewer edits are other groups and other streams, and would be in the way of these.
        told.append(
            f"For several edits at once and for streams, the command with --limit {TRIAL} --out runs/trial "
            f"does; the same with --dry-run then tells what an edit takes."
        )
    told += _requests([one.asks for one in outlooks if one.asks is not None and not one.refused])
    refused = dict.fromkeys(f"{one.name}: {one.refused.rstrip('.')}." for one in outlooks if one.refused)
    return [*told, *refused]


def _requests(asks: Sequence[Estimate]) -> list[str]:
    """What all runs ask a served model."""
    if not asks:
        return []
    tokens = f"about {sum(one.input_tokens for one in asks):,} tokens in"
    out = f"at most {sum(one.output_tokens for one in asks):,} out"
    prices = [one.cost for one in asks if one.cost is not None]
    cost = f"about {sum(prices):.2f} {asks[0].currency} or less" if prices else "no price is stated"
    requests = f"At most {sum(one.requests for one in asks):,} requests"
    return [f"{requests}, {tokens} and {out}: {cost}; what methods put before prompts comes on top."]
