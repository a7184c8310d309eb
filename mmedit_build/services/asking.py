"""Asking models about images and facts: one interface for models in this process and for served ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["question", "caption", "fact"]


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask: about an image, for its caption (the text is its beginning), or about a fact."""

    image: Path | bytes | None
    text: str
    kind: Kind = "question"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and how sure it was: the geometric mean of its tokens' probabilities, if known."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is none, such as a broken image or a server that stayed silent."""

    reason: str


class Asker(Protocol):
    """A model that answers questions."""

    @property
    def name(self) -> str:
        """The model, with its revision after an @ if it has one."""
        ...

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        """One answer to each question, in order, greedily; one bad image costs only its own answers."""
        ...
