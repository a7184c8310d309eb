"""A case: one edit with all that it is judged by, wherever it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mmedit_build.rows import Nearness, Relation, Split, Task

Picture = bytes | Path
"""An encoded image: its bytes, or the file that holds it."""
Prompts = Literal["family", "raw"]
"""How a case is asked: as the model's family is asked, or as MMEdit's code asks."""
Kind = Literal[
    "reliability",
    "text_generality",
    "image_generality",
    "portability",
    "text_locality",
    "image_locality",
    "gain",
]
"""What a probe tells about an edit. The localities shall stay; gain is what the base model answers wrong,
where an edit may help but need not; all else asks for something that the edit shall change."""
KINDS: tuple[Kind, ...] = get_args(Kind)
LOCALITY: tuple[Kind, ...] = ("text_locality", "image_locality")
USUAL: tuple[Relation | None, ...] = (None, "far", "same_image", "same_question")
"""Items that any dataset may have. Editors learn from these alone, and streams are measured by them."""
Steps = Literal["1-hop", "2-hop", "3-hop", "4-hop"]
"""How many steps lead from what an edit says to what portability asks."""
Relative = Relation | Steps | Literal["second", "composed"]
"""How a probe lies to its edit: second is about a fact that is edited along with it, composed about both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What has to be known besides the edit for portability: a question in words alone."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question that tells something about an edit; without an image it is about a fact."""

    kind: Kind
    question: str
    answers: tuple[str, ...]
    """All that is right; scoring is forced along the first."""
    image: Picture | None = None
    id: str = ""
    """Tells it from others of its kind."""
    relation: Relative | None = None
    """None where there is but one probe of the kind."""
    nearness: Nearness | None = None
    """How near it lies to its edit, where the dataset tells."""
    premise: Premise | None = None
    prefixed: bool = True
    """Whether MMEdit's files put their prefix before the question, if it is about a fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One edit with all that it is judged by."""

    id: str
    task: Task
    split: Split
    image: Picture | None
    """None for an edit of a fact, which is about words alone."""
    image_id: str
    """Equal for edits of one image, which are not independent of each other; of a fact, its id."""
    question: str
    """For captions, what is put before the caption to ask for it."""
    question_type: str
    target: str
    prediction: str
    subject: str | None = None
    """What the question is about, in its own words, for methods that look there; None if nobody says."""
    answers: tuple[str, ...] = ()
    """One answer of each annotator, or the reference captions; none where the dataset does not tell."""
    probes: tuple[Probe, ...] = ()
    """All but the edit's own question. One of reliability is about a fact that is edited along."""

    def of(self, *kinds: Kind) -> tuple[Probe, ...]:
        """The probes of some kinds."""
        return tuple(probe for probe in self.probes if probe.kind in kinds)


def right_answers(kind: Kind, answer: str, others: Sequence[str]) -> tuple[str, ...]:
    """What is right of an item; of what the base model answers wrong, only what most annotators say."""
    return (answer,) if kind == "gain" else tuple(dict.fromkeys((answer, *others)))


def rephrases(
    target: str, image: Picture, question: str, text: str | None, painted: Picture | None
) -> tuple[Probe, ...]:
    """The probes of generality that an edit has: its question in other words, its image painted anew."""
    of_text = Probe(kind="text_generality", question=text or "", answers=(target,), image=image)
    of_image = Probe(kind="image_generality", question=question, answers=(target,), image=painted)
    return (of_text,) * (text is not None) + (of_image,) * (painted is not None)
