"""What tests of several stages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmedit_build.rows import LocalityItem
from mmedit_build.services.asking import Answer, NoAnswer, Question


def item(number: int, question: str, image: int | None = None) -> LocalityItem:
    """A far item, about an image or a fact."""
    return LocalityItem(
        id=f"{'nq' if image is None else 'okvqa'}/{number}",
        relation="far",
        image=None if image is None else f"{image}.jpg",
        image_id=None if image is None else str(image),
        question=question,
        answers=("yes",) * 10,
        answer="yes",
        prediction="yes",
    )


@dataclass
class Told:
    """Answers each question as it was told, and not at all where it was not."""

    answers: dict[str, str]
    asked: list[str] = field(default_factory=list)
    name: str = "told"

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        assert max_tokens > 0
        self.asked += [question.text for question in questions]
        return [
            Answer(self.answers[one.text]) if one.text in self.answers else NoAnswer("the server is silent")
            for one in questions
        ]

    def ask_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, max_tokens: int
    ) -> list[Answer | NoAnswer]:
        assert len(answers) == len(questions)
        return self.ask(questions, max_tokens=max_tokens)
