from __future__ import annotations

import pytest

from evaluation.data.cases import Case
from evaluation.data.holdout import split_by_image
from mmedit_build.errors import UserError


def case(number: int, image: int) -> Case:
    return Case(
        id=str(number),
        task="vqa",
        split="train",
        image=b"",
        image_id=str(image),
        question="",
        question_type="",
        target="",
        prediction="",
    )


def test_what_is_held_out_shares_no_image_with_the_rest() -> None:
    cases = [case(number, number // 2) for number in range(400)]
    train, validation = split_by_image(cases, 0.1)
    assert {one.image_id for one in train}.isdisjoint(one.image_id for one in validation)
    assert len(train) + len(validation) == 400
    assert 20 <= len(validation) <= 60
    # More edits do not move those that were there.
    more = [*cases, *(case(number, number) for number in range(1000, 1100))]
    assert [one for one in split_by_image(more, 0.1)[1] if int(one.id) < 1000] == validation


def test_too_few_edits_cannot_be_learned_from() -> None:
    with pytest.raises(UserError, match="1 edits of the train split are too few"):
        split_by_image([case(1, 1)], 0.1)
