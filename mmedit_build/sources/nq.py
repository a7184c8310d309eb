"""Natural Questions: facts asked for in words alone, in MEND's layout, which MMEdit's files have too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from mmedit_build.errors import UserError
from mmedit_build.sources.layout import Layout

PREFIX = "nq question: "
"""What MMEdit puts before each question, in its files and in what it asks."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A question and all answers that are right; `place` tells where it is from, such as validation/12."""

    place: str
    question: str
    answers: tuple[str, ...]


class _FactsFile(TypedDict):
    questions: list[str]
    answers: list[str | list[str]]


FACTS = Layout(
    _FactsFile,
    "Natural Questions",
    '{"questions": ["who wrote hamlet"], "answers": [["William Shakespeare", "Shakespeare"]]}',
)


def read_fact_file(path: Path) -> list[Fact]:
    """All facts of a file that have an answer, in its order."""
    content = FACTS.load(path)
    questions, answers = content["questions"], content["answers"]
    if len(questions) != len(answers):
        raise UserError(
            f"{path} has {len(questions)} questions but {len(answers)} answers; "
            "give a file with one for each."
        )
    name = path.stem.removeprefix("nq_")
    texts = [[given] if isinstance(given, str) else given for given in answers]
    facts = [fact(f"{name}/{place}", *pair) for place, pair in enumerate(zip(questions, texts, strict=True))]
    return with_answers(facts, str(path))


def fact(place: str, question: str, answers: list[str]) -> Fact:
    """The question as it stands but for MMEdit's prefix, so that a model is asked what its makers wrote."""
    given = tuple(answer.strip() for answer in answers)
    return Fact(place, question.strip().removeprefix(PREFIX), tuple(answer for answer in given if answer))


def with_answers(facts: list[Fact], source: str) -> list[Fact]:
    """Without the questions that have no answer; a source that is left with none is refused."""
    kept = [fact for fact in facts if fact.question and fact.answers]
    if not kept:
        raise UserError(f"{source} holds no questions with answers; give another source.")
    return kept
