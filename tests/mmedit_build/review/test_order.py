"""In which order rows are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmedit_build.engine.settings import check_settings
from mmedit_build.review.order import Bar, bars_of, doubtful_first, drawn
from mmedit_build.rows import Candidate, EditRow, Painting
from mmedit_build.work import Work
from tests.mmedit_build.conftest import MakeEdit

BARS = [Bar("mine", "agreement", 0.5), Bar("imagine", "resemblance", 0.6), Bar("rephrase", "alike", 0.5)]


def test_lots_hang_on_nothing_but_the_row(make_edit: MakeEdit) -> None:
    edits = [make_edit(number) for number in range(50)]
    order = drawn(edits)
    assert drawn(edits[::-1]) == order
    assert order not in (edits, edits[::-1])
    assert drawn(iter(edits), 7) == order[:7]
    # What is there besides changes nothing about the order of the others.
    assert drawn(edits[:20]) == [edit for edit in order if edit in edits[:20]]


def scored(make_edit: MakeEdit, number: int, agreement: float, resemblance: float) -> EditRow:
    """With a rephrase and a painting that was taken, and some that were not."""
    edit = make_edit(number, scores={"agreement": agreement})
    assert edit.rephrase is not None
    assert edit.imagined is not None
    texts = (
        Candidate(text="no", reason="no", scores={}),
        Candidate(text="?", reason=None, scores={"alike": 1}),
    )
    taken = Painting(
        image="a", digest=edit.imagined.digest, seed=1, reason=None, scores={"resemblance": resemblance}
    )
    paintings = (replace(taken, digest="other", reason="no", scores={"resemblance": 0.1}), taken)
    return replace(
        edit,
        rephrase=replace(edit.rephrase, text="?", candidates=texts),
        imagined=replace(edit.imagined, candidates=paintings),
    )


def test_who_only_just_passed_anywhere_comes_first(make_edit: MakeEdit) -> None:
    usual = [scored(make_edit, number, 1.0, 0.8) for number in range(9)]
    disputed = scored(make_edit, 20, 0.5, 0.9)
    unlike = scored(make_edit, 21, 1.0, 0.61)
    order = doubtful_first([*usual, unlike, disputed], BARS)
    assert [edit.id for edit in order[:2]] == [disputed.id, unlike.id]
    assert order[2:] == drawn(usual)
    assert doubtful_first([*usual, unlike, disputed], BARS, 5) == order[:5]


def test_a_score_that_all_have_at_its_bar_says_nothing(make_edit: MakeEdit) -> None:
    edits = [scored(make_edit, number, 0.5, 0.8) for number in range(9)]
    assert doubtful_first(edits, BARS) == drawn(edits)
    assert doubtful_first(edits, []) == drawn(edits)


def test_bars_are_those_that_the_build_was_begun_with(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert bars_of(work) == []
    vqa = {"mode": "evalai", "most_accuracy": 0.3, "least_agreement": 0.5}
    check_settings(work.stage("mine"), {"mine": {"vqa": vqa, "caption": None}})
    check_settings(
        work.stage("rephrase"), {"rephrase": {"similarity": None, "answers_alike": {"least": 0.5}}}
    )
    check_settings(
        work.stage("imagine"),
        {"imagine": {"least_difference": 6, "resemblance": {"least": 0.6, "most_lost": 0.05}, "quiz": None}},
    )
    assert set(bars_of(work)) == {
        Bar("mine", "accuracy_evalai", 0.3, most=True),
        Bar("mine", "agreement", 0.5),
        Bar("rephrase", "alike", 0.5),
        Bar("imagine", "difference", 6),
        Bar("imagine", "resemblance", 0.6),
        Bar("imagine", "resemblance_gain", -0.05),
    }
    assert bars_of(work, ["rephrase", "locality"]) == [Bar("rephrase", "alike", 0.5)]


def test_margins_are_on_the_side_that_passes() -> None:
    assert Bar("mine", "accuracy", 0.3, most=True).margin(0.1) == pytest.approx(0.2)
    assert Bar("mine", "agreement", 0.5).margin(0.7) == pytest.approx(0.2)
    assert Bar("mine", "agreement", 0.5).margin(0.4) == 0
