"""What is a failure and what only looks like one, by cases that anyone can judge."""

from __future__ import annotations

import pytest

from mmedit_build.recipe import MineVqa, Sizes
from mmedit_build.scoring.caption import Consensus
from mmedit_build.stages.failures import RIGHT, judge_answer, judge_caption

SIZES = Sizes(train=1, test=1)
VQA = MineVqa(sizes=SIZES)


@pytest.mark.parametrize(
    ("question", "answers", "prediction", "reason"),
    [
        ("What color is it?", ["red"] * 10, "blue", None),
        ("What color is it?", ["red"] * 9 + ["blue"], "blue", RIGHT),
        ("What color is it?", ["red"] * 4 + ["pink"] * 3 + ["rose"] * 3, "blue", "annotators disagree"),
        ("What color is it?", ["red"] * 10, "", "no answer"),
        ("What color is it?", ["red"] * 10, "...", "no answer"),
        # Official accuracy does not normalize where all annotators agree, and calls this wrong.
        ("What color is it?", ["red"] * 10, "Red", "right in other words"),
        (
            "What is flying?",
            ["kite"] * 9 + ["bird"],
            "the kites in the sky",
            "contains the target or is contained in it",
        ),
        ("How deep is the water?", ["2 feet"] * 10, "no", "answer of the wrong type"),
        ("Is it deep?", ["yes"] * 10, "no", None),
    ],
)
def test_an_answer_is_judged(question: str, answers: list[str], prediction: str, reason: str | None) -> None:
    assert judge_answer(question, answers, prediction, VQA).reason == reason


def test_what_only_looks_like_a_failure_can_be_kept() -> None:
    config = MineVqa(sizes=SIZES, keep_contained=True, keep_wrong_type=True)
    assert judge_answer("What is it?", ["kite"] * 10, "red kite", config).reason is None
    assert judge_answer("How deep is the water?", ["2 feet"] * 10, "no", config).reason is None


def test_the_target_is_what_most_annotators_said() -> None:
    verdict = judge_answer("What is it?", ["cat", "dog", "dog", "a dog", "dog"] * 2, "bird", VQA)
    assert verdict.target == "dog"
    assert verdict.scores == {"accuracy": 0.0, "accuracy_evalai": 0.0, "agreement": 0.8}


def test_the_mode_decides_and_both_scores_are_kept() -> None:
    answers = ["yes"] * 10
    official = judge_answer("Is it?", answers, "Yes", MineVqa(sizes=SIZES))
    assert official.reason == "right in other words"
    evalai = judge_answer("Is it?", answers, "Yes", MineVqa(sizes=SIZES, mode="evalai"))
    assert evalai.reason == RIGHT
    assert (evalai.scores["accuracy"], evalai.scores["accuracy_evalai"]) == (0.0, 1.0)


REFERENCES = (
    ("a red apple on the grass", "a red apple in a field", "one red apple on green grass"),
    ("a blue boat on the water", "a boat at sea", "a small blue boat on the sea"),
    ("two dogs run on a beach", "dogs on the sand", "two brown dogs on a beach"),
)
CORPUS = Consensus.of(REFERENCES)


@pytest.mark.parametrize(
    ("prediction", "reason", "said_wrong", "left_out"),
    [
        ("a red apple on the grass", RIGHT, (), ()),
        ("on the grass, an apple", RIGHT, (), ()),
        ("a yellow cup on the table", None, ("yellow cup", "table"), ("red apple",)),
        ("a green apple in a field", None, ("green apple",), ()),
        ("two apples", None, ("two apples",), ()),
        ("a field", None, (), ("red apple",)),
        ("", "no answer", (), ("red apple",)),
    ],
)
def test_a_caption_is_judged(
    prediction: str, reason: str | None, said_wrong: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    verdict = judge_caption(REFERENCES[0], prediction, CORPUS)
    assert (verdict.reason, verdict.said_wrong, verdict.left_out) == (reason, said_wrong, left_out)


def test_the_target_of_a_caption_is_the_reference_most_agreed_on() -> None:
    references = ("a red apple on the grass", "a thing", " a red apple on grass ")
    verdict = judge_caption(references, "a cup", Consensus.of([references, *REFERENCES]))
    assert verdict.target in ("a red apple on the grass", "a red apple on grass")
    assert set(verdict.scores) == {"cider_d", "consensus", "agreement"}


def test_the_target_sets_the_caption_right() -> None:
    """Most say no size, but the target must: else nothing of the edit would be wrong."""
    references = ("a boat at sea", "a boat at sea", "a blue boat at sea", "a small boat at sea")
    verdict = judge_caption(references, "a big boat at sea", Consensus.of([references, *REFERENCES]))
    assert verdict.target == "a small boat at sea"


def test_the_target_says_nothing_that_the_others_deny() -> None:
    references = (
        "two dogs on a beach",
        "two dogs on the sand",
        "three dogs on a beach on the sand",
        "dogs on a beach",
    )
    verdict = judge_caption(references, "two cats on a beach", Consensus.of([references, *REFERENCES]))
    assert "three" not in verdict.target


def test_where_references_deny_each_other_there_is_no_target() -> None:
    references = ("a red boat", "a blue boat")
    verdict = judge_caption(references, "a red cup", Consensus.of([references, *REFERENCES]))
    assert verdict.reason == "no reference sets it right"
