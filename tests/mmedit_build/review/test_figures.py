"""Errors and agreement of people whose error rates are known, on rows whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mmedit_build.recipe import Review
from mmedit_build.review.answers import Answer
from mmedit_build.review.asked import QUESTIONS, asked_of
from mmedit_build.review.figures import Errors, Figures, figures, wilson
from mmedit_build.review.order import drawn
from mmedit_build.rows import SPLITS, EditRow
from tests.mmedit_build.review.conftest import Drawn, MakeDrawn

RULE = Review()


def wrong_share(build: Drawn, question: str, edits: Sequence[EditRow]) -> float:
    truths = [
        build.truth(edit, asked) for edit in edits for asked in asked_of(edit) if asked.question == question
    ]
    return truths.count(False) / len(truths)


def test_who_is_never_wrong_finds_the_errors_that_there_are(make_drawn: MakeDrawn) -> None:
    build = make_drawn(200)
    found = figures(build.edits, {"ada": build.judged_by("ada")}, RULE)
    assert (found.people, found.rows, found.agreement) == (1, 200, [])
    assert [(one.question, one.split) for one in found.errors] == [(q, s) for q in QUESTIONS for s in SPLITS]
    for one in found.errors:
        here = [edit for edit in build.edits if edit.split == one.split]
        assert (one.rows, one.judged) == (100, 100)
        assert one.rate.value == wrong_share(build, one.question, here)
        assert 0.05 < one.rate.low < one.rate.value < one.rate.high < 0.4


def test_agreement_of_known_error_rates_is_what_they_make_it(make_drawn: MakeDrawn) -> None:
    """Two who err independently in a share e of answers, of which a share w should be no, agree in
    (1 - e)^2 + e^2 of them; each says no to q = w (1 - e) + (1 - w) e."""
    build, e = make_drawn(500, 0.3), 0.1
    said = {who: build.judged_by(who, e) for who in ("ada", "ben", "cleo")}
    found = figures(build.edits, said, RULE)
    assert [one.question for one in found.agreement] == list(QUESTIONS)
    held = []
    for one in found.agreement:
        w = wrong_share(build, one.question, build.edits)
        q = w * (1 - e) + (1 - w) * e
        by_lot = q**2 + (1 - q) ** 2
        expected = ((1 - e) ** 2 + e**2 - by_lot) / (1 - by_lot)
        assert one.judged == 500
        # Of three, all are right or all are wrong.
        assert one.alike == pytest.approx((1 - e) ** 3 + e**3, abs=0.05)
        assert len(one.kappas) == 3
        for measure in (one.alpha, *one.kappas):
            assert measure is not None
            assert measure.value == pytest.approx(expected, abs=0.1)
            held.append(measure.low < expected < measure.high)
    # 95% of intervals hold what they are of; these are sixteen.
    assert sum(held) >= 14


def test_the_rate_by_majority_is_what_errors_of_three_make_of_it(make_drawn: MakeDrawn) -> None:
    build, e = make_drawn(500, 0.15), 0.1
    said = {who: build.judged_by(who, e) for who in ("ada", "ben", "cleo")}
    outvoted = 3 * e**2 * (1 - e) + e**3
    for one in figures(build.edits, said, RULE).errors:
        here = [edit for edit in build.edits if edit.split == one.split]
        w = wrong_share(build, one.question, here)
        expected = w * (1 - outvoted) + (1 - w) * outvoted
        assert one.rate.low < expected < one.rate.high


def errors_of(found: Figures, question: str, split: str) -> Errors:
    (one,) = (one for one in found.errors if (one.question, one.split) == (question, split))
    return one


def test_the_sample_ends_before_the_first_row_that_is_open(make_drawn: MakeDrawn) -> None:
    """So rows that somebody looked at because they are doubtful do not count."""
    build = make_drawn(60)
    order = drawn(build.edits)
    said = build.judged_by("ada", rows=[*order[:20], *order[30:]])
    found = figures(build.edits, {"ada": said}, RULE)
    first = [edit for edit in order[:20] if edit.split == "test"]
    one = errors_of(found, "failure", "test")
    assert (found.rows, one.rows) == (50, len(first))
    assert one.rate.value == wrong_share(build, "failure", first)


def test_who_cannot_tell_has_seen_the_row_and_judged_nothing(make_drawn: MakeDrawn) -> None:
    build = make_drawn(20)
    said: dict[str, Answer] = dict.fromkeys(build.judged_by("ada"), "unsure")
    assert figures(build.edits, {"ada": said}, RULE).errors == []
    found = figures(build.edits, {"ada": said, "ben": build.judged_by("ben")}, RULE)
    assert errors_of(found, "painting", "train").judged == 10
    assert found.agreement == []


def test_answers_about_what_is_no_more_do_not_count(make_drawn: MakeDrawn) -> None:
    build = make_drawn(10)
    found = figures(build.edits, {"ada": {"0" * 16: "no"}}, RULE)
    assert (found.people, found.rows, found.errors) == (0, 0, [])


def test_wilsons_interval_is_no_point_where_nothing_was_refused() -> None:
    # 0 of 10: z^2 / (n + z^2), as in Wilson's paper.
    none = wilson(0, 10)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.2775, abs=1e-4)
    all_ = wilson(10, 10)
    assert all_.low == pytest.approx(1 - none.high)
    assert all_.high == 1
    half = wilson(5, 10)
    assert half.low == pytest.approx(0.2366, abs=1e-4)
    assert half.high == pytest.approx(0.7634, abs=1e-4)
