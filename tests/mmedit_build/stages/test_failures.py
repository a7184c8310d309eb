"""What is a failure and what only looks like one, by cases that anyone can judge."""

from __future__ import annotations

import pytest

from mmedit_build.recipe import MineCaption, MineVqa, Sizes
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
    ("prediction", "reason"),
    [
        ("a red apple on the grass", RIGHT),
        ("a yellow cup on the table", None),
        ("an apple", "differs in style only"),
        ("", "no answer"),
    ],
)
def test_a_caption_is_judged(prediction: str, reason: str | None) -> None:
    config = MineCaption(sizes=SIZES, most_consensus=0.5)
    assert judge_caption(REFERENCES[0], prediction, CORPUS, config).reason == reason


def test_the_target_of_a_caption_is_the_reference_most_agreed_on() -> None:
    references = ("a red apple on the grass", "a thing", " a red apple on grass ")
    verdict = judge_caption(
        references, "a cup", Consensus.of([references, *REFERENCES]), MineCaption(sizes=SIZES)
    )
    assert verdict.target in ("a red apple on the grass", "a red apple on grass")
    assert set(verdict.scores) == {"cider_d", "consensus", "new_words", "missing_words", "agreement"}
