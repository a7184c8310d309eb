"""The edit's question without its image."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmedit_build.rows import EditRow
from mmedit_build.stages.blind import blind_questions, keeps_off
from tests.mmedit_build.stages.test_attach import edit

EDIT = edit(1, 1, "What color is it?", "test")


def answered(number: int, target: str) -> EditRow:
    return replace(edit(number, number, "what color is it"), target=target)


def test_questions_are_asked_without_their_image() -> None:
    (item,) = blind_questions([EDIT, edit(2, 2, "", "test", caption=True)], [EDIT])
    assert (item.id, item.relation) == ("vqa/val2014/1/no_image", "no_image")
    assert (item.image, item.image_id, item.question, item.answers) == (None, None, EDIT.question, ())


@pytest.mark.parametrize(
    ("others", "asked"),
    [
        # The edit's own target, red, tells nothing of what one would guess.
        ([], True),
        (["blue"], True),
        (["red"], False),
        (["the Red", "blue"], False),
        (["red", "blue", "blue"], True),
    ],
)
def test_none_where_the_target_is_what_one_would_guess(others: list[str], asked: bool) -> None:
    mined = [EDIT, *(answered(number, target) for number, target in enumerate(others, start=2))]
    assert bool(blind_questions([EDIT], mined)) == asked


def test_what_the_base_model_says_must_not_be_the_target() -> None:
    (item,) = blind_questions([EDIT], [])
    assert keeps_off(EDIT, replace(item, answer="blue"))
    assert not keeps_off(EDIT, replace(item, answer="The red."))
