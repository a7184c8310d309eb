"""How far a build is, as a table."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mmedit_build.build import unfinished
from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.storage.addresses import shown
from mmedit_build.summary import Summary
from mmedit_build.work import Work

ROWS = {
    **{"mine": EditRow, "rephrase": EditRow, "imagine": EditRow},
    **{"probe": LocalityItem, "blind": LocalityItem, "attach": EditRow, "extend": EditRow},
}
"""What each stage makes; `attach` asks the base model about its pools in `probe`, and the questions of edits
without their images in `blind`."""
REASONS = 6
"""How many reasons are shown per stage."""


def summaries(work: Work) -> list[Summary]:
    """Counts of every stage that has begun."""
    found = (
        Summary.read(work.stage(name)) or unfinished(work, name, row_type) for name, row_type in ROWS.items()
    )
    return [summary for summary in found if summary is not None]


def table(work: Work) -> Table:
    """One line for each stage and each of its commonest reasons."""
    made = Table("stage", title=Text(shown(work.folder)))
    for column in ("rows in", "out", "rejected", "failed"):
        made.add_column(column, justify="right")
    made.add_column("why")
    for one in summaries(work):
        rejected, failed = sum(one.rejected.values()), sum(one.failed.values())
        name = one.stage if one.finished else f"{one.stage} (under way)"
        counts = [f"{number:,}" for number in (one.entered, one.kept, rejected, failed)]
        made.add_row(Text(name), *counts, Text(_reasons(one)), end_section=True)
    return made


def _reasons(summary: Summary) -> str:
    reasons = {**summary.rejected, **{f"failed: {name}": count for name, count in summary.failed.items()}}
    lines = [f"{count:,} {name}" for name, count in reasons.items()]
    more = [f"and {len(lines) - REASONS} other reasons"] if len(lines) > REASONS else []
    return "\n".join([*lines[:REASONS], *more])
