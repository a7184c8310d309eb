from __future__ import annotations

import pytest

from mmedit_build.scoring.vqa import CONTRACTIONS, Mode, normalize, vqa_accuracy

YES_TEN_TIMES = ["yes"] * 10
ALMOST_YES = ["yes"] * 9 + ["no"]


@pytest.mark.parametrize(
    ("answers", "prediction", "official", "evalai"),
    [
        (YES_TEN_TIMES, "Yes", 0.0, 1.0),
        (ALMOST_YES, "Yes.", 1.0, 1.0),
        (["cat"] * 3 + ["dog"] * 7, "cat", 0.9, 0.9),
        (["cat"] * 2 + ["dog"] * 8, "cat", 0.6, 0.6),
        (["cat"] * 1 + ["dog"] * 9, "cat", 0.3, 0.3),
    ],
)
def test_golden_values_of_the_published_evaluations(
    answers: list[str], prediction: str, official: float, evalai: float
) -> None:
    assert vqa_accuracy(prediction, answers, "official") == pytest.approx(official)
    assert vqa_accuracy(prediction, answers, "evalai") == pytest.approx(evalai)


@pytest.mark.parametrize(
    ("answers", "prediction", "official", "evalai"),
    [
        # Equal answers: only white space is tidied, so neither digits nor articles are.
        (["yes"] * 10, " yes\n", 1.0, 1.0),
        (["2"] * 10, "two", 0.0, 1.0),
        (["cat"] * 10, "a cat", 0.0, 1.0),
        (["Two"] * 10, "2", 0.0, 1.0),
        # Raw answers that differ, even in case alone, switch normalization on.
        (["Yes"] + ["yes"] * 9, "YES", 1.0, 1.0),
        # Four of ten: whoever is left out, at least three others agree.
        (["red"] * 4 + ["pink"] * 6, "red", 1.0, 1.0),
        (["red"] * 10, "blue", 0.0, 0.0),
        # Answers agree only once they are normalized: two + three of "2".
        (["two", "2", "2.", "3", "3", "3", "3", "4", "5", "6"], "2", 0.9, 0.9),
        # The possessive: the EvalAI variant sets 's apart, in prediction and answers alike.
        (["dog's"] * 9 + ["dog"], "dog's", 1.0, 1.0),
        (["dog's"] * 9 + ["dog"], "dog 's", 0.0, 1.0),
    ],
)
def test_values_computed_by_hand(answers: list[str], prediction: str, official: float, evalai: float) -> None:
    assert vqa_accuracy(prediction, answers, "official") == pytest.approx(official)
    assert vqa_accuracy(prediction, answers, "evalai") == pytest.approx(evalai)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("A Cat", "cat"),
        ("the THE an a", ""),
        ("None", "0"),
        ("ten", "10"),
        ("twenty-one", "twenty 1"),  # the hyphen becomes a space, and then "one" is a numeral
        ("x-ray", "x ray"),
        ("x- ray", "x ray"),  # beside a space the hyphen goes instead
        ("red/blue", "red blue"),
        ("red/blue / green", "redblue green"),  # one space beside one mark removes all marks of that kind
        ("1,000", "1000"),
        ("1,000 red/blue", "1000 redblue"),  # a comma in a number removes every mark
        ("red,blue", "red blue"),
        ("dont", "don't"),
        ("wouldntve", "wouldntve"),  # only one apostrophe may be missing
        ("wouldnt've", "wouldn't've"),
        ("yall'd've", "y'all'd've"),
        ("somebody'd", "somebodyd"),  # a misspelling of the official table
        ("Im", "im"),  # the official table has "Im", which text in lower case never meets
        ("wed", "wed"),  # words in their own right are left alone
        ("3.5", "3.5"),  # a full stop stays before a digit
        (".5", ".5"),
        ("5.", "5"),  # and goes elsewhere, also after a digit: the slip in the pattern
        ("a.b.", "ab"),
        ("yes.\tno.\n", "yes no"),
        ("is it?", "is it"),
        ("it's", "it's"),
    ],
)
def test_official_normalization(text: str, normal: str) -> None:
    assert normalize(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [("It's, two?", "it 's 2"), ("1,000", "1000"), ("red,blue", "redblue"), ("x-ray", "x ray")],
)
def test_evalai_tokenizes_before_it_normalizes(text: str, normal: str) -> None:
    assert normalize(text, "evalai") == normal


def test_only_the_first_32_full_stops_go() -> None:
    assert normalize("x." * 40) == "x" * 32 + "x." * 8


def test_the_table_of_contractions() -> None:
    assert len(CONTRACTIONS) == 114
    assert CONTRACTIONS["'ows'at"] == CONTRACTIONS["ow's'at"] == CONTRACTIONS["'ow'sat"] == "'ow's'at"
    assert {"wed", "shed", "hell", "shell", "ill", "well", "were", "id", "lets", "its"}.isdisjoint(
        CONTRACTIONS
    )


@pytest.mark.parametrize("mode", ["official", "evalai"])
def test_a_question_without_answers_cannot_be_scored(mode: Mode) -> None:
    with pytest.raises(ValueError, match="at least one annotator"):
        vqa_accuracy("yes", [], mode)
