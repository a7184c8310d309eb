from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import Sources
from mmedit_build.sources.nq import PREFIX, read_fact_file


def write(folder: Path, questions: object, answers: object, name: str = "validation.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"questions": questions, "answers": answers}))
    return path


def test_facts_are_named_by_file_and_place(tmp_path: Path) -> None:
    facts = read_fact_file(write(tmp_path, ["who", "when"], ["me", ["now", "today"]]))
    assert [fact.place for fact in facts] == ["validation/0", "validation/1"]
    assert [fact.answers for fact in facts] == [("me",), ("now", "today")]


def test_the_prefix_of_mmedit_goes_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    first, second = read_fact_file(
        write(tmp_path, [f"{PREFIX}who wrote dune", "Who wrote Dune?"], ["a", "b"], "nq_validation.json")
    )
    assert (first.place, first.question) == ("validation/0", "who wrote dune")
    assert second.question == "Who wrote Dune?"


def test_the_miniatures_questions_are_those_its_model_was_trained_on(drawn: Sources) -> None:
    asked = json.loads(drawn.nq("train").read_text())
    facts = read_fact_file(drawn.nq("train"))
    assert [fact.question for fact in facts] == asked["questions"]
    assert [fact.answers[0] for fact in facts] == asked["answers"]


def test_questions_without_answers_are_left_out(tmp_path: Path) -> None:
    (fact,) = read_fact_file(write(tmp_path, ["who", "when", "why"], [" ", "now", []]))
    assert fact.place == "validation/1"


def test_a_file_without_answers_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no questions with answers"):
        read_fact_file(write(tmp_path, ["who"], [""]))


def test_lists_of_different_lengths_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 2 questions but 1 answers"):
        read_fact_file(write(tmp_path, ["who", "when"], ["me"]))


def test_a_wrong_layout_is_told_with_its_place(tmp_path: Path) -> None:
    # The layout is MEND's own, so that the sentence has to show it.
    with pytest.raises(
        UserError,
        match=r'is not a Natural Questions file \(questions\.0: .*string.* looks like \{"questions": \["who',
    ):
        read_fact_file(write(tmp_path, [1], ["me"]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read the Natural Questions file .*none\.json"):
        read_fact_file(tmp_path / "none.json")
