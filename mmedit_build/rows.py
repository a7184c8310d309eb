"""What travels through the stages: an example is mined into an edit, which each later stage completes.

Images are named by path: relative to the work folder if they lie in it, absolute if not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

Task = Literal["vqa", "caption"]
Split = Literal["train", "test"]
Relation = Literal[
    "far",
    "same_image",
    "same_question",
    "no_image",
    "similar_question",
    "near_right",
    "far_right",
    "near_wrong",
    "far_wrong",
]
"""How an item lies to its edit. Far: of another source. Then another question on its image, and its question
on another image or on none; the most similar question on its image; and of all that mining asked about other
images, the nearest and the farthest of what the base model answers right, and of what it answers wrong."""

ReviewQuestion = Literal["failure", "rephrase", "painting", "locality"]
"""What people judge: whether the answer is wrong and the target right, whether the rephrase asks for the
same, whether the painting shows the same, and whether the answer of a locality item is right."""

TASKS: tuple[Task, ...] = ("vqa", "caption")
SPLITS: tuple[Split, ...] = ("train", "test")


def _in_words(found: object) -> object:
    return str(found) if isinstance(found, int) else found


ImageId = Annotated[str, BeforeValidator(_in_words)]
"""The number of an image of COCO, without zeros before it; of others the name in the folder of the source's
images. Rows of earlier versions, where all were numbers, are read as well."""

Words = Annotated[tuple[str, ...], Field(exclude_if=lambda held: not held)]
"""Not written where there are none."""

Released = Annotated[Mapping[str, Any], Field(exclude_if=lambda held: not held)]
"""Of an imported edit, the keys that its file had besides MMEdit's, such as that of VLKEB's hops; exporting
writes them back. Not written where there are none: other rows stay as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Something that the base model can be asked, with what its annotators said."""

    id: str
    """From the source, such as vqa/val2014/262148000; the same in every build."""
    task: Task
    image: str
    image_id: ImageId
    question: str
    """For captions, what is put before the caption to ask for it."""
    question_type: str
    answers: tuple[str, ...]
    """One answer of each annotator, or the reference captions."""
    caption: str | None = None
    """A caption of the image, if the sources have one: what an image generator is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rephrase that was tried: why it was refused (None if it was not), and what was measured of it."""

    text: str
    reason: str | None
    scores: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rephrase:
    """The question in other words."""

    text: str
    model: str
    prompt: str
    """Name and digest of the prompt file, such as rephrase#1f2e3d4c."""
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """An image that was tried: its file, and why it was refused (None if it was not)."""

    image: str | None
    """None if the generator gave none that could be kept, such as a black one."""
    digest: str | None
    """SHA-256 of the encoded bytes."""
    seed: int
    reason: str | None
    scores: dict[str, float]
    strength: float | None = None
    """How much of the original was painted over; None if it was painted from the caption alone."""
    failed: tuple[str, ...] = ()
    """Questions that were answered otherwise than about the original."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagined:
    """The image in another rendering."""

    image: str
    digest: str
    seed: int
    prompt: str
    strategy: str
    model: str
    candidates: tuple[Painting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityItem:
    """A question whose answer an edit shall not change, or not need to; without an image, about a fact or
    about nothing."""

    id: str
    relation: Relation
    image: str | None
    image_id: ImageId | None
    question: str
    answers: tuple[str, ...]
    answer: str
    """The one most annotators gave; of a question that lacks its image, the base model's own."""
    prediction: str | None = None
    """What the base model answers, if it was asked."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near an item lies to its edit, as cosines; None where one of them has no question, or no image."""

    text: float | None
    image: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """The locality items of one edit, and what is dealt out along with them."""

    text: tuple[LocalityItem, ...]
    image: tuple[LocalityItem, ...]
    gain: tuple[LocalityItem, ...] = ()
    """No locality: what the base model answers wrong, near the edit and far from it. Does the edit help?"""
    nearness: dict[str, Nearness] = field(default_factory=dict)
    """By the ids of items; empty where the recipe does not ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A question one step beyond an edit that was tried: why it was refused (None if it was not)."""

    question: str
    """About the edit's image. It does not name what the edit says."""
    premise: str
    """The same in words alone, which names it."""
    answer: str
    reason: str | None
    steps: Annotated[str, Field(exclude_if=lambda steps: steps == "1-hop")] = "1-hop"
    """How far beyond the edit. Not written where it is one, as of all that the stage extend makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portability:
    """What follows from the target by common knowledge."""

    model: str
    prompt: str
    candidates: tuple[Proposal, ...]

    @property
    def hops(self) -> tuple[Proposal, ...]:
        """Those that an edit is judged by."""
        return tuple(one for one in self.candidates if one.reason is None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What people say to one question about an edit, or about one of its locality items."""

    question: ReviewQuestion
    id: str
    """Of the edit or of the item."""
    yes: int
    no: int
    unsure: int
    refused: bool
    """By the rule of the recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRow(Example):
    """An example that the base model gets wrong, and all that the stages add to it."""

    target: str
    prediction: str
    """What the base model said, asked alone if the recipe has failures confirmed."""
    first_prediction: str
    """What it said among other questions; with some models the two differ."""
    confidence: float | None
    """Geometric mean of the probabilities of the prediction's tokens, where the base model tells them."""
    scores: dict[str, float]
    """Every score that decided about the row."""
    said_wrong: Words = ()
    """Of a caption, what it says that references deny or do not name."""
    left_out: Words = ()
    """Of a caption, what most references name that it does not."""
    base: str
    """The base model, with its revision after an @ if it has one. Empty of edits that others made without
    telling what any model said: their predictions mean nothing."""
    split: Split | None = None
    rephrase: Rephrase | None = None
    imagined: Imagined | None = None
    locality: Locality | None = None
    # Not written where there is none: rows of recipes without the stage stay as they were.
    portability: Annotated[Portability | None, Field(exclude_if=lambda held: held is None)] = None
    released: Released = field(default_factory=dict)
    review: Annotated[tuple[Judged, ...], Field(exclude_if=lambda held: not held)] = ()
    """What people said about it; on its way into a dataset alone, as they may say more."""
