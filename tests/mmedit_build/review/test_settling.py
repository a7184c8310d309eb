"""How disagreement is settled, and what is left of the rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmedit_build.engine.base import Rejected
from mmedit_build.recipe import Review
from mmedit_build.review.answers import Answer
from mmedit_build.review.asked import asked_of
from mmedit_build.review.settling import NO_ITEM, settle
from mmedit_build.rows import EditRow, Judged
from tests.mmedit_build.conftest import MakeEdit


def said(edit: EditRow, question: str, *answers: Answer) -> dict[str, dict[str, Answer]]:
    """Answers of several people to one question about a row."""
    (of,) = (one.of for one in asked_of(edit) if f"{one.question} {one.id}".startswith(question))
    return {f"person{number}": {of: answer} for number, answer in enumerate(answers)}


@pytest.mark.parametrize(
    ("answers", "refused_by"),
    [
        (["yes"], set()),
        (["no"], {"any", "majority", "all"}),
        (["yes", "no"], {"any"}),
        (["no", "no", "yes"], {"any", "majority"}),
        (["no", "unsure"], {"any", "majority", "all"}),
        (["unsure"], set()),
    ],
)
def test_each_rule(make_edit: MakeEdit, answers: list[Answer], refused_by: set[str]) -> None:
    edit = make_edit()
    for rule in ("any", "majority", "all"):
        review = Review.model_validate({"refused_by": rule})
        (outcome,) = settle([edit], said(edit, "rephrase", *answers), review)
        if rule in refused_by:
            assert isinstance(outcome, Rejected)
            assert outcome.reason == "review: rephrase"
        else:
            counts = (answers.count("yes"), answers.count("no"), answers.count("unsure"))
            assert isinstance(outcome, EditRow)
            assert outcome.review == (Judged("rephrase", edit.id, *counts, refused=False),)
            assert replace(outcome, review=()) == edit


def test_what_is_marked_stays_as_it_is(make_edit: MakeEdit) -> None:
    edit = make_edit()
    (outcome,) = settle([edit], said(edit, "painting", "no", "no"), Review(then="mark"))
    assert isinstance(outcome, EditRow)
    assert outcome.review == (Judged("painting", edit.id, 0, 2, 0, refused=True),)
    assert replace(outcome, review=()) == edit


def test_a_refused_item_leaves_its_row_which_keeps_another(make_edit: MakeEdit) -> None:
    edit = make_edit()
    assert edit.locality is not None
    (fact,) = edit.locality.text
    edit = replace(edit, locality=replace(edit.locality, text=(fact, replace(fact, id="nq/validation/2"))))
    (outcome,) = settle([edit], said(edit, "locality nq/validation/1", "no"), Review())
    assert isinstance(outcome, EditRow)
    assert outcome.locality is not None
    assert edit.locality is not None
    assert [item.id for item in outcome.locality.text] == ["nq/validation/2"]
    assert outcome.locality.image == edit.locality.image
    # Of what is not there nothing is told.
    assert outcome.review == ()


def test_a_row_that_loses_its_last_item_of_a_kind_goes_too(make_edit: MakeEdit) -> None:
    edit = make_edit()
    (outcome,) = settle([edit], said(edit, "locality okvqa/val2014/75", "no"), Review())
    assert isinstance(outcome, Rejected)
    assert outcome.reason == NO_ITEM


def test_a_question_without_its_image_stays_when_the_one_with_it_goes(make_edit: MakeEdit) -> None:
    edit = make_edit()
    assert edit.locality is not None
    blind = replace(edit.locality.text[0], id="okvqa/val2014/75", relation="no_image")
    more = replace(edit.locality.image[0], id="okvqa/val2014/76")
    locality = replace(edit.locality, text=(blind,), image=(*edit.locality.image, more))
    edit = replace(edit, locality=locality)
    (outcome,) = settle([edit], said(edit, "locality okvqa/val2014/75", "no"), Review())
    assert isinstance(outcome, EditRow)
    assert outcome.locality == replace(locality, image=(more,))
