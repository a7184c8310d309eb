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

from dataclasses import dataclass
from typing import Protocol

from editors.base import Edit, TrainEdit
from evaluation.data.cases import LOCALITY, USUAL, Case, Kind, Premise, Probe, Prompts
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from mmedit_build.rows import Task
from mmedit_build.sources.nq import PREFIX

ANSWER_TOKENS = 20
"""The longest answer to a question or about a fact, in tokens; models stop before."""
CAPTION_TOKENS = 40


class Model(Protocol):
    """What is needed of a model to put questions to it."""

    def question_prompt(self, question: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A probe as it is put to a model."""

    probe: Probe
    query: Query
    """Its target is what scoring is forced along: the first of the probe's answers."""
    task: Task = "vqa"
    """As what its answer is judged: a caption, or the answer to a question."""
    annotators: tuple[str, ...] = ()
    """What annotators said where the edit asks the same, or the reference captions."""
    premise: Asked | None = None
    """What the unedited model is asked, to see whether it knows what the probe builds on."""

    @property
    def kind(self) -> Kind:
        return self.probe.kind

    @property
    def is_locality(self) -> bool:
        """Whether the edit shall change nothing here."""
        return self.probe.kind in LOCALITY

    @property
    def new_tokens(self) -> int:
        """How long its answer may be."""
        return CAPTION_TOKENS if self.task == "caption" else ANSWER_TOKENS


def ask_all(case: Case, model: Model, prompts: Prompts = "family") -> list[Asked]:
    """All probes of a case, that of the edit itself first."""
    return [_ask(probe, case, model, prompts) for probe in (_own(case), *case.probes)]


def with_premise(asked: Asked) -> tuple[Asked, ...]:
    """All that the unedited model is asked for a probe."""
    return (asked,) if asked.premise is None else (asked, asked.premise)


def edit_of(case: Case, model: Model, prompts: Prompts = "family") -> Edit:
    """What an editor is asked for."""
    if not case.question.strip():
        raise UserError(f"Edit {case.id} has no question: leave it out or say what is asked.")
    prompt = _prompt(_own(case), case, model, prompts)
    return Edit(case.id, case.image, prompt, case.target, case.subject)


def edits_of(case: Case, model: Model, prompts: Prompts = "family") -> list[Edit]:
    """What an editor is asked for, along with the facts that are edited along with it."""
    along = [_ask(probe, case, model, prompts) for probe in case.of("reliability")]
    facts = (Edit(one.probe.id, None, one.query.prompt, one.query.target) for one in along)
    return [edit_of(case, model, prompts), *facts]


def train_edit(case: Case, model: Model, prompts: Prompts = "family") -> TrainEdit:
    """What a learning editor may look at; of facts that are edited along, nothing."""
    asked = [one for one in ask_all(case, model, prompts) if one.probe.relation != "second"]

    def queries(kind: Kind) -> tuple[Query, ...]:
        usual = (one for one in asked if one.kind not in LOCALITY or one.probe.relation in USUAL)
        return tuple(one.query for one in usual if one.kind == kind)

    return TrainEdit(
        edit_of(case, model, prompts),
        text_rephrase=next(iter(queries("text_generality")), None),
        image_rephrase=next(iter(queries("image_generality")), None),
        text_locality=queries("text_locality"),
        image_locality=queries("image_locality"),
    )


def _own(case: Case) -> Probe:
    return Probe(
        kind="reliability",
        question=case.question,
        answers=(case.target,),
        image=case.image,
        prefixed=False,
    )


def _ask(probe: Probe, case: Case, model: Model, prompts: Prompts) -> Asked:
    query = Query(probe.image, _prompt(probe, case, model, prompts), probe.answers[0])
    if probe.kind in ("reliability", "text_generality", "image_generality") and probe.relation != "second":
        return Asked(probe, query, case.task, case.answers)
    return Asked(probe, query, premise=None if probe.premise is None else _words(probe.premise))


def _words(premise: Premise) -> Asked:
    """A premise, asked as a fact is."""
    probe = Probe(kind="text_locality", question=premise.question, answers=premise.answers)
    return Asked(probe, Query(None, premise.question, premise.answers[0]))


def _prompt(probe: Probe, case: Case, model: Model, prompts: Prompts) -> str:
    """Captions are asked for by their beginning, facts as they stand, the rest as the family asks."""
    if probe.relation == "no_image":
        return probe.question if prompts == "raw" else model.question_prompt(probe.question)
    if probe.image is None:
        return PREFIX + probe.question if prompts == "raw" and probe.prefixed else probe.question
    if probe.kind in (*LOCALITY, "gain"):
        return model.question_prompt(probe.question)
    bare = prompts == "raw" or (case.task == "caption" and probe.kind != "portability")
    return probe.question if bare else model.question_prompt(probe.question)
