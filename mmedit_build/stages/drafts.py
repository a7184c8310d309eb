"""Candidates for rephrases on their way through the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmedit_build.rows import Candidate, EditRow
from mmedit_build.services.chat import NoReply, Reply
from mmedit_build.stages.checks import difference, refusal


@dataclass(slots=True)
class Draft:
    """A candidate, and what is known of it so far."""

    row: EditRow
    text: str
    reason: str | None
    """Why it is refused."""
    scores: dict[str, float] = field(default_factory=dict)
    verified: bool = False
    """Whether those were asked who can tell whether it means the same."""
    undecided: bool = False
    """Whether it was refused only because something could not be measured or asked."""

    def refuse(self, reason: str, *, undecided: bool = False) -> None:
        self.reason, self.undecided = reason, undecided

    def kept(self) -> Candidate:
        """As rows keep it."""
        return Candidate(text=self.text, reason=self.reason, scores=self.scores)


def drafts_of(row: EditRow, replies: Sequence[Reply | NoReply]) -> list[Draft]:
    """The different candidates of a row after the checks that cost nothing."""
    texts = dict.fromkeys(reply.text for reply in replies if isinstance(reply, Reply))
    return [
        Draft(
            row,
            text,
            refusal(row.question, text, row.target, row.answers),
            {"difference": difference(row.question, text)},
        )
        for text in texts
    ]


def best(drafts: Sequence[Draft]) -> Draft | None:
    """The most different candidate that passes so far; the first of equals."""
    passing = (draft for draft in drafts if draft.reason is None)
    return max(passing, key=lambda draft: draft.scores["difference"], default=None)
