"""What becomes of rows that people judged: by a rule of the recipe they stay, are marked or are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mmedit_build.engine.base import Rejected
from mmedit_build.recipe import Review
from mmedit_build.review.answers import Answer
from mmedit_build.review.asked import Asked, asked_of
from mmedit_build.rows import EditRow, Judged, Locality, LocalityItem

Said = Mapping[str, Mapping[str, Answer]]
"""By person, what they say to what was judged."""
NO_ITEM = "review: no locality item left"

RULES: dict[str, Callable[[int, int], bool]] = {
    "any": lambda _yes, no: no > 0,
    "majority": lambda yes, no: no > yes,
    "all": lambda yes, no: no > 0 and yes == 0,
}
"""Whether so many who say yes and so many who say no refuse something."""


def settle(edits: Iterable[EditRow], said: Said, rule: Review) -> Iterator[EditRow | Rejected[EditRow]]:
    """Each edit with its judgements; those that were refused are rejected if the rule is to drop them."""
    return (_settled(edit, said, rule) for edit in edits)


def judged(asked: Asked, said: Said, rule: Review) -> Judged | None:
    """What people say to one question; None if nobody says anything."""
    votes = Counter(answers[asked.of] for answers in said.values() if asked.of in answers)
    if not votes:
        return None
    yes, no = votes["yes"], votes["no"]
    refused = RULES[rule.refused_by](yes, no)
    return Judged(asked.question, asked.id, yes, no, votes["unsure"], refused)


def _settled(edit: EditRow, said: Said, rule: Review) -> EditRow | Rejected[EditRow]:
    found = [one for asked in asked_of(edit) if (one := judged(asked, said, rule)) is not None]
    marked = replace(edit, review=tuple(found))
    if rule.then == "mark":
        return marked
    refused = [one for one in found if one.refused]
    for one in refused:
        if one.question != "locality":
            return Rejected(edit.id, f"review: {one.question}", marked)
    return _without({one.id for one in refused}, marked)


def _without(refused: set[str], edit: EditRow) -> EditRow | Rejected[EditRow]:
    """The edit without some of its items; it has to keep one of each kind of which it has any."""
    locality = edit.locality
    if locality is None or not refused:
        return edit
    left = replace(locality, text=_kept(locality.text, refused), image=_kept(locality.image, refused))
    if _emptied(locality, left):
        return Rejected(edit.id, NO_ITEM, edit)
    review = tuple(one for one in edit.review if not one.refused)
    return replace(edit, locality=left, review=review)


def _kept(items: Sequence[LocalityItem], refused: set[str]) -> tuple[LocalityItem, ...]:
    # A question without its image has the id of the one with it, and nobody was asked about it.
    return tuple(item for item in items if item.relation == "no_image" or item.id not in refused)


def _emptied(before: Locality, after: Locality) -> bool:
    return bool(before.text and not after.text) or bool(before.image and not after.image)
