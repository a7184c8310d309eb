"""What people are asked about a row: four questions, each about exactly what it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mmedit_build.rows import EditRow, LocalityItem, ReviewQuestion

QUESTIONS: tuple[ReviewQuestion, ...] = ("failure", "rephrase", "painting", "locality")
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about a row, or about one of its locality items."""

    question: ReviewQuestion
    id: str
    """Of the row or of the item."""
    of: str
    """A digest of what is judged. An answer counts for exactly this, in whatever row it stands, and no more
    when a build has made something else of it."""
    item: LocalityItem | None = None


def asked_of(edit: EditRow, questions: Collection[ReviewQuestion] = QUESTIONS) -> list[Asked]:
    """What is asked about a row, in the order in which people see it."""
    return [one for one in _asked(edit) if one.question in questions]


def _asked(edit: EditRow) -> Iterator[Asked]:
    yield _one("failure", edit.id, edit.image_id, edit.question, edit.target, edit.prediction)
    # What is put before a caption asks for nothing that other words could change.
    if edit.rephrase is not None and edit.task == "vqa":
        yield _one("rephrase", edit.id, edit.question, edit.rephrase.text)
    if edit.imagined is not None:
        yield _one("painting", edit.id, edit.question, edit.target, edit.imagined.digest)
    for item in (*edit.locality.text, *edit.locality.image) if edit.locality else ():
        # Without its image a question has no right answer.
        if item.relation != "no_image":
            yield _one("locality", item.id, item.image_id, item.question, item.answer, item=item)


def _one(
    question: ReviewQuestion, row_id: str, *content: str | None, item: LocalityItem | None = None
) -> Asked:
    text = json.dumps([question, row_id, *content])
    return Asked(question, row_id, hashlib.sha256(text.encode()).hexdigest()[:_DIGITS], item)
