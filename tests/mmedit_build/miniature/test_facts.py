"""Facts are many, short and unambiguous; made-up ones for training and for tests never meet."""

from __future__ import annotations

from collections import Counter

import pytest

from mmedit_build.miniature.fact_tables import TABLES, WORDINGS
from mmedit_build.miniature.facts import Fact, facts, invented_facts


def _pairs(found: list[Fact]) -> set[tuple[str, str]]:
    return {(question, fact.answer) for fact in found for question in fact.questions}


def test_there_are_enough_facts_of_enough_families() -> None:
    families = Counter(fact.family for fact in facts())
    assert families.total() >= 360
    assert set(families) == set(TABLES) == set(WORDINGS)
    assert families["capital"] >= 100
    assert min(families.values()) >= 8


@pytest.mark.parametrize("family", TABLES)
def test_tables_hold_one_answer_per_subject(family: str) -> None:
    entries = " ".join(TABLES[family].split()).split(", ")
    assert all(
        entry.count(":") == 1 and all(part.strip() == part != "" for part in entry.split(":"))
        for entry in entries
    )
    subjects = [entry.split(":")[0].lower() for entry in entries]
    assert len(subjects) == len(set(subjects)) == sum(fact.family == family for fact in facts())


def test_no_question_is_asked_twice() -> None:
    questions = [question for fact in facts() for question in fact.questions]
    assert len(questions) == len(set(questions))


def test_questions_are_written_as_in_natural_questions() -> None:
    for fact in facts():
        assert len(fact.questions) >= 3
        for question in fact.questions:
            assert question == question.lower().strip()
            assert "?" not in question
            assert "{" not in question


def test_answers_are_short() -> None:
    assert all(1 <= len(fact.answer.split()) <= 3 for fact in facts())


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what is the capital of france", "Paris"),
        ("north korea has which city as its capital", "Pyongyang"),
        ("who wrote the hobbit", "J.R.R. Tolkien"),
        ("how do chemists abbreviate gold", "Au"),
        ("how many legs does an ant have", "six"),
        ("how many sides does an octagon have", "eight"),
        ("what comes after december", "January"),
        ("which planet is fourth from the sun", "Mars"),
    ],
)
def test_some_facts(question: str, answer: str) -> None:
    (fact,) = (fact for fact in facts() if question in fact.questions)
    assert fact.answer == answer


def test_invented_facts_are_reproducible_different_and_never_true() -> None:
    found = invented_facts("train/0", 500)
    assert found == invented_facts("train/0", 500)
    assert found != invented_facts("train/1", 500)
    assert len(set(found)) == 500
    assert not _pairs(found) & _pairs(list(facts()))


def test_invented_facts_of_training_and_tests_share_nothing() -> None:
    train, test = invented_facts("train", 3000), invented_facts("test", 3000)
    assert not _pairs(train) & _pairs(test)
    known = {question for fact in facts() for question in fact.questions}
    made_up = [{fact.questions[0] for fact in found} - known for found in (train, test)]
    assert min(len(questions) for questions in made_up) > 1000
    assert not made_up[0] & made_up[1]


def test_invented_facts_are_partly_counterfactual() -> None:
    true = {fact.questions: fact.answer for fact in facts()}
    twisted = [fact for fact in invented_facts("test", 400) if fact.questions in true]
    assert 100 < len(twisted) < 300
    assert all(
        fact.answer in {one.answer for one in facts() if one.family == fact.family} for fact in twisted
    )


def test_the_seed_names_its_side() -> None:
    with pytest.raises(ValueError, match="train"):
        invented_facts("other", 1)
