"""An edit's own question without its image: whoever answers the target there does not look.

Without an image the question has no right answer, so the base model's own is what shall stay. No item is
made where the target might rightly be said: where the base model says it already, and where no other answer
is more frequent among the other images of which the sources ask the same, as it is then what one would guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.scoring.text import plain
from mmedit_build.stages.attach import same

SUFFIX = "/no_image"
"""Of ids, after the id of the edit."""


def blind_questions(edits: Sequence[EditRow], mined: Iterable[EditRow]) -> list[LocalityItem]:
    """What the base model is to be asked; `mined` are all questions whose right answer is known."""
    usual = _answers(mined)
    return [
        LocalityItem(
            id=f"{edit.id}{SUFFIX}",
            relation="no_image",
            image=None,
            image_id=None,
            question=edit.question,
            answers=(),
            answer="",
        )
        for edit in edits
        if edit.task == "vqa" and not _is_guess(edit, usual[plain(edit.question)])
    ]


def keeps_off(edit: EditRow, item: LocalityItem) -> bool:
    """Whether what the base model says is something else than the target."""
    return same(item.answer) != same(edit.target)


def _answers(mined: Iterable[EditRow]) -> dict[str, dict[str, str]]:
    """By the text of a question, the right answer for each image it is asked about."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in mined:
        if row.task == "vqa":
            found[plain(row.question)][row.image_id] = same(row.target)
    return found


def _is_guess(edit: EditRow, usual: dict[str, str]) -> bool:
    others = Counter(answer for image, answer in usual.items() if image != edit.image_id)
    most = max(others.values(), default=0)
    return most > 0 and others[same(edit.target)] == most
