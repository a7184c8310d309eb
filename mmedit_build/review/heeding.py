"""The finished edits of a build as reviewers leave them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mmedit_build.anew import Anew
from mmedit_build.build import kept
from mmedit_build.engine.shards import Tally
from mmedit_build.recipe import Review
from mmedit_build.review.answers import read_answers
from mmedit_build.review.figures import Figures, figures
from mmedit_build.review.settling import settle
from mmedit_build.rows import EditRow
from mmedit_build.work import Work


@dataclass(frozen=True, slots=True)
class Heeded:
    """What is left of the edits, what became of those that people judged, and the numbers of the review."""

    edits: Iterable[EditRow]
    """May be gone through several times."""
    tally: Tally
    figures: Figures | None
    """None if nobody said anything about them, or it shall not count."""


def heed(edits: Iterable[EditRow], work: Work, rule: Review | None) -> Heeded:
    """Do with the edits of a build what the rule says, whatever answers there are by now.

    The edits are gone through several times, and never held.
    """
    said = read_answers(work) if rule is not None else {}
    if rule is None or not any(said.values()):
        return Heeded(edits, Tally(), None)
    found = figures(edits, said, rule)
    if not found.rows:
        return Heeded(edits, Tally(), None)
    left = Anew(lambda: kept(settle(edits, said, rule)))
    return Heeded(left, Tally().add(settle(edits, said, rule)), found)
