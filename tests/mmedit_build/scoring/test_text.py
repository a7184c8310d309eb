"""Forms of questions and answers, by hand, on the miniature, and against the known faults of MMEdit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmedit_build.miniature.grammar import all_meanings, say
from mmedit_build.scoring.text import (
    AnswerType,
    answer_type,
    bare,
    contains,
    contains_letters,
    has_negation,
    is_yes_no,
    is_yes_no_question,
    numbers,
    offers_alternatives,
    opens_with_auxiliary,
    plain,
    singular,
    words,
    wrong_type,
)

SPLITS = ["eval", "train"]
Rows = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="session")
def mmedit(released: Path) -> Rows:
    """The released rows of questions by split."""
    return {split: json.loads((released / f"vqa_{split}.json").read_text()) for split in SPLITS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" The  RED,\tcat! ", "the red cat"),
        ("dog's", "dogs"),
        ("t-shirt", "tshirt"),
        ("under_score", "underscore"),
        ("?!", ""),
        ("Café", "café"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_words_keep_their_apostrophes() -> None:
    assert words("The dogs' t-shirt isn\N{RIGHT SINGLE QUOTATION MARK}t 'red'.") == [
        "the",
        "dogs",
        "t",
        "shirt",
        "isn't",
        "red",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On the table.", "table"),
        ("in a red car", "red car"),
        ("cat on the mat", "cat on the mat"),  # only what it begins with
        ("at the beach", "at the beach"),
        ("on", "on"),  # the last word stays, so "on" and "in" stay different answers
        ("the a", "a"),
        ("", ""),
    ],
)
def test_bare(text: str, expected: str) -> None:
    assert bare(text) == expected


@pytest.mark.parametrize(
    ("word", "other"),
    [("cats", "cat"), ("berries", "berry"), ("benches", "bench"), ("boxes", "box"), ("glasses", "glass")],
)
def test_plurals_become_singular(word: str, other: str) -> None:
    assert singular(word) == singular(other) == other


@pytest.mark.parametrize("word", ["bus", "glass", "tennis", "gas", "octopus"])
def test_what_looks_like_a_plural_stays(word: str) -> None:
    assert singular(word) == word


@pytest.mark.parametrize(
    ("one", "other", "by_words", "by_letters"),
    [
        ("A kite!", "kite", True, True),
        ("kite", "a red kite", True, True),
        ("pancake", "pancakes", True, True),
        ("berry", "berries", True, False),
        ("female", "male", False, True),
        ("1", "17", False, True),
        ("no", "afternoon", False, True),
        ("red and blue", "blue and red", False, False),
        ("white", "black and white", True, True),
        ("same", "Same", True, True),
        ("", "cat", False, False),
        ("?", "cat", False, False),
    ],
)
def test_containment(one: str, other: str, by_words: bool, by_letters: bool) -> None:
    assert contains(one, other) is contains(other, one) is by_words
    assert contains_letters(one, other) is contains_letters(other, one) is by_letters


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("yes", True),
        (" No. ", True),
        ("Yes, it is", True),
        ("no parking", False),
        ("nothing", False),
        ("not yes", False),
        ("", False),
    ],
)
def test_yes_and_no(answer: str, expected: bool) -> None:
    assert is_yes_no(answer) is expected


@pytest.mark.parametrize(
    "question",
    [
        "Is the cat red?",
        "Isn\N{RIGHT SINGLE QUOTATION MARK}t the cat red?",
        "arent these dogs?",
        '"Could he win?"',
        "In this picture, is there a cat?",
        "In this picture is there a cat?",
        "If the snow melts, will the skier fall?",
        "Judging by the shadows, is it noon?",
        "When the light is red, do the cars stop?",
        "Look at the sign. Does it say stop?",
        "The cat is red, isn't it?",
        "Can you tell me if the cat is red?",
        "Could you tell me whether it is cold?",
        "Can you tell if the tie is checkered?",
        "Can you tell the train number?",
        "Can you see a cat?",
        "Can you identify any cats?",
        "Would you say that the cat is red?",
        "Is it raining or not?",
        "Are there any cats or dogs?",
        "Are there ten or more people?",
        "Is the man who is running tall?",
        "Is the number of cats higher than the number of dogs?",
    ],
)
def test_questions_for_yes_or_no(question: str) -> None:
    assert is_yes_no_question(question)
    assert answer_type(question) == "yes/no"


@pytest.mark.parametrize(
    "question",
    [
        "Is it red or blue?",
        "Is this a cat, a dog or a cow?",
        "Do they have any food or are they hungry?",
        "What is the man doing, is he running?",
        "In which corner is the cat?",
        "On what background is everything drawn?",
        "According to the sign, how old can you be?",
        "Can you tell me what the man has?",
        "Can you please provide the name of the bird?",
        "Can you name the color of the cat?",
        "Can you identify the type of dog?",
        "Do you know what this is called?",
        "Is it possible to tell how old he is?",
        "Are these dogs from what type of breed?",
        "Is anything on the table, and if so, what?",
        "The grass is what color?",
        "Name the type of plant.",
        "Color of the cat's eyes?",
        "",
    ],
)
def test_questions_for_something_else(question: str) -> None:
    assert not is_yes_no_question(question)
    assert answer_type(question) == "other"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many cats are there?", "number"),
        ("What number is on the bus?", "number"),
        ("What is the total number of cats?", "number"),
        ("Can you tell me the number of cats?", "number"),
        ("Count the cats.", "number"),
        ("Can you see how many cats there are?", "number"),
        ("According to the sign, how many gallons can you drink?", "number"),
        ("What is the number plate of the car?", "other"),
        ("What are a number of people holding?", "other"),
        ("How deep is the water?", "other"),
    ],
)
def test_questions_for_numbers(question: str, expected: AnswerType) -> None:
    assert answer_type(question) == expected


def test_every_question_of_the_miniature_has_the_type_of_its_answer() -> None:
    expected = dict.fromkeys(["exists", "verify", "more", "same color"], "yes/no") | {"count": "number"}
    for meaning in all_meanings():
        for wording in say(meaning):
            assert answer_type(wording) == expected.get(meaning.form, "other"), wording


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("How deep is the water?", "no", True),
        ("How deep is the water?", "very deep", False),
        ("Is it red or blue?", "no", True),
        ("Overcast or sunny?", "yes", True),
        ("Can you name the color?", "yes", True),
        ("The grass is what color?", "yes", True),
        ("Name the bird?", "no", True),
        ("How many cats are there?", "no", True),
        ("How many cats are there?", "red", True),
        ("How many cats are there?", "2", False),
        ("How many cats are there?", "Two cats", False),
        ("How many cats are there?", "none", False),
        ("How many cats are there?", "too many to say", False),
        ("How many cats are there?", "can't tell", False),
        ("Is there a cat?", "a cat", True),
        ("Is there a cat?", "Yes, there is", False),
        ("Is there a cat?", "maybe", False),
        ("Is there a cat?", "not sure", False),
        # The form leaves open what is asked, so nothing is wrong.
        ("Restaurant shown is McDonalds?", "yes", False),
        ("Clockwise or not is the vase?", "no", False),
        ("Where is it?", "", True),
    ],
)
def test_answers_of_the_wrong_type(question: str, answer: str, expected: bool) -> None:
    assert wrong_type(question, answer) is expected


def test_alternatives() -> None:
    assert offers_alternatives("Which is bigger, the cat or the dog?")
    assert not offers_alternatives("Is it raining or not?")
    assert not offers_alternatives("Is there anything red or blue?")
    assert not offers_alternatives("Is this the Palme d'or of last year?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two of 1,000", ("2", "1000")),
        ("Twenty-one or twenty two", ("21", "22")),
        ("twenty twelve", ("20", "12")),
        ("one two three", ("1", "2", "3")),
        ("two hundred five", ("205",)),
        ("a dozen and two dozen", ("12", "24")),
        ("two 2", ("2", "2")),
        ("3.5 at 10:55.", ("3.5", "10:55")),
        ("the first, the 2nd", ("1st", "2nd")),
        ("zero", ("0",)),
        ("thirty zero", ("30", "0")),
        ("someone often weighs a ton", ()),
        ("24x16", ("24", "16")),
    ],
)
def test_numbers(text: str, expected: tuple[str, ...]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is NOT red?", True),
        ("Isn\N{RIGHT SINGLE QUOTATION MARK}t it red?", True),
        ("Why cant he see?", True),
        ("Who has no hat?", True),
        ("the man without a hat", True),
        ("Is it red or not?", False),
        ("notes on the nose of another", False),
    ],
)
def test_negation(text: str, expected: bool) -> None:
    assert has_negation(text) is expected


@pytest.mark.parametrize(("split", "same", "apart"), [("eval", 4, 88), ("train", 6, 253)])
def test_the_known_counts_of_equal_answers(split: str, same: int, apart: int, mmedit: Rows) -> None:
    pairs = [(row["pred"], row["alt"]) for row in mmedit[split]]
    assert sum(plain(one) == plain(other) for one, other in pairs) == same
    assert sum(bare(one) == bare(other) and plain(one) != plain(other) for one, other in pairs) == apart


def test_the_known_count_of_contained_answers_was_by_letters(mmedit: Rows) -> None:
    pairs = [(row["pred"], row["alt"]) for row in mmedit["eval"]]
    assert sum(contains_letters(one, other) for one, other in pairs) == 189
    assert sum(contains(one, other) for one, other in pairs) == 167


@pytest.mark.parametrize(("split", "asked", "broken"), [("eval", 280, 155), ("train", 797, 441)])
def test_the_known_counts_of_broken_rephrases(split: str, asked: int, broken: int, mmedit: Rows) -> None:
    rows = [row for row in mmedit[split] if is_yes_no(row["alt"]) and opens_with_auxiliary(row["src"])]
    assert len(rows) == asked
    assert sum(not opens_with_auxiliary(row["rephrase"]) for row in rows) == broken


@pytest.mark.parametrize(("split", "crude", "exact"), [("eval", 154, 157), ("train", 493, 500)])
def test_the_known_counts_of_answers_of_the_wrong_type(
    split: str, crude: int, exact: int, mmedit: Rows
) -> None:
    rows = [row for row in mmedit[split] if is_yes_no(row["pred"])]
    assert sum(not opens_with_auxiliary(row["src"]) for row in rows) == crude
    assert sum(wrong_type(row["src"], row["pred"]) for row in rows) == exact


@pytest.mark.parametrize("split", SPLITS)
def test_hardly_any_right_answer_is_of_the_wrong_type(split: str, mmedit: Rows) -> None:
    rows = mmedit[split]
    assert sum(wrong_type(row["src"], row["alt"]) for row in rows) < 0.01 * len(rows)
