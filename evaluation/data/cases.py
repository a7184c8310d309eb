"""A case: one edit with all that it is judged by, wherever it was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmedit_build.rows import Relation, Split, Task

Picture = bytes | Path
"""An encoded image: its bytes, or the file that holds it."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question whose answer the edit shall not change; without an image it is about a fact."""

    id: str
    question: str
    answer: str
    answers: tuple[str, ...] = ()
    """All that is right, if more is known than the answer."""
    relation: Relation = "far"
    image: Picture | None = None
    prefixed: bool = True
    """Whether MMEdit's files put their prefix before the question, if it is about a fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One edit with all that it is judged by."""

    id: str
    task: Task
    split: Split
    image: Picture
    image_id: str
    """Equal for edits of one image, which are not independent of each other."""
    question: str
    """For captions, what is put before the caption to ask for it."""
    question_type: str
    target: str
    prediction: str
    rephrase: str | None
    image_rephrase: Picture | None
    answers: tuple[str, ...] = ()
    """One answer of each annotator, or the reference captions; none where the dataset does not tell."""
    text_locality: tuple[Item, ...] = ()
    image_locality: tuple[Item, ...] = ()
