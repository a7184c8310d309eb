"""What a case is judged by: queries about the edit itself, its generality, and what it shall not change.

In both protocols a question about an image is asked as the model's family asks it (`mllm.question_prompt`),
a caption by its beginning, and a fact as it stands: just as the dataset was mined. With the prompts `raw`
all is asked as MMEdit's code asks it since November 2025: edits and their rephrases bare, facts after
"nq question: ", and only the questions of image locality in the template; the model renders no turns, and
for BLIP-2 no BOS stands before a prompt (the template `raw` of `MLLM.load`). Before that date, and so for the
numbers that the paper has, edits stood in the template too. Images are prepared as the checkpoint says (for
BLIP-2 OPT 224 pixels a side), in MMEdit's code at 364.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from editors.base import Edit, TrainEdit
from evaluation.data.cases import Case, Item
from evaluation.run.experiment import Prompts
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from mmedit_build.rows import Relation
from mmedit_build.sources.nq import PREFIX

Kind = Literal["reliability", "text_generality", "image_generality", "text_locality", "image_locality"]
KINDS: tuple[Kind, ...] = (
    *("reliability", "text_generality", "image_generality"),
    *("text_locality", "image_locality"),
)
ANSWER_TOKENS = 20
"""The longest answer to a question or about a fact, in tokens; models stop before."""
CAPTION_TOKENS = 40


class Asked(Protocol):
    """What is needed of a model to put questions to it."""

    def question_prompt(self, question: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Probe:
    """One query with what is right for it."""

    kind: Kind
    query: Query
    """Its target is what scoring is forced along: that of the edit, or the answer of the locality item."""
    answers: tuple[str, ...]
    """All that is right."""
    new_tokens: int
    item: str = ""
    """The id of the locality item."""
    relation: Relation | None = None

    @property
    def is_locality(self) -> bool:
        """Whether the edit shall change nothing here."""
        return self.relation is not None


def make_probes(case: Case, model: Asked, prompts: Prompts = "family") -> list[Probe]:
    """All probes of a case; what the case lacks has none."""
    return [*_about_edit(case, model, prompts), *_locality(case, model, prompts)]


def edit_of(case: Case, model: Asked, prompts: Prompts = "family") -> Edit:
    """What an editor is asked for."""
    if not case.question.strip():
        raise UserError(f"Edit {case.id} has no question: leave it out or say what is asked.")
    return Edit(case.id, case.image, _prompt(case, case.question, model, prompts), case.target)


def train_edit(case: Case, model: Asked, prompts: Prompts = "family") -> TrainEdit:
    """What a learning editor may look at."""
    probes = make_probes(case, model, prompts)

    def queries(kind: Kind) -> tuple[Query, ...]:
        return tuple(probe.query for probe in probes if probe.kind == kind)

    return TrainEdit(
        edit_of(case, model, prompts),
        text_rephrase=next(iter(queries("text_generality")), None),
        image_rephrase=next(iter(queries("image_generality")), None),
        text_locality=queries("text_locality"),
        image_locality=queries("image_locality"),
    )


def _about_edit(case: Case, model: Asked, prompts: Prompts) -> Iterator[Probe]:
    asked = _prompt(case, case.question, model, prompts)
    queries: list[tuple[Kind, Query]] = [("reliability", Query(case.image, asked, case.target))]
    if case.rephrase is not None:
        rephrased = _prompt(case, case.rephrase, model, prompts)
        queries.append(("text_generality", Query(case.image, rephrased, case.target)))
    if case.image_rephrase is not None:
        queries.append(("image_generality", Query(case.image_rephrase, asked, case.target)))
    tokens = CAPTION_TOKENS if case.task == "caption" else ANSWER_TOKENS
    for kind, query in queries:
        yield Probe(kind, query, (case.target,), tokens)


def _locality(case: Case, model: Asked, prompts: Prompts) -> Iterator[Probe]:
    kinds: tuple[tuple[Kind, Sequence[Item]], ...] = (
        ("text_locality", case.text_locality),
        ("image_locality", case.image_locality),
    )
    for kind, items in kinds:
        for item in items:
            query = Query(item.image, _item_prompt(item, model, prompts), item.answer)
            answers = tuple(dict.fromkeys((item.answer, *item.answers)))
            yield Probe(kind, query, answers, ANSWER_TOKENS, item.id, item.relation)


def _prompt(case: Case, question: str, model: Asked, prompts: Prompts) -> str:
    bare = case.task == "caption" or prompts == "raw"
    return question if bare else model.question_prompt(question)


def _item_prompt(item: Item, model: Asked, prompts: Prompts) -> str:
    if item.image is not None:
        return model.question_prompt(item.question)
    return PREFIX + item.question if prompts == "raw" and item.prefixed else item.question
