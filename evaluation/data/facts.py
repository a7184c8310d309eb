"""Facts to edit in words alone: what the language model of a multimodal model knows without looking.

A folder of facts has a file for each split, each a list of objects. Prompts end where the answer begins. All
answers are what the base model says; neighbors ask the same of other subjects, unrelated facts ask
something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evaluation.data.cases import Case, Probe
from mmedit_build.errors import UserError, shortened
from mmedit_build.files import is_file
from mmedit_build.formats.base import Keys
from mmedit_build.json_files import read_json
from mmedit_build.rows import Relation, Split, Task
from mmedit_build.store import write_atomic

FILES: dict[Split, str] = {"train": "facts_train.json", "test": "facts_eval.json"}


class Stays(Keys):
    """A fact that an edit shall leave alone."""

    prompt: str
    answer: str


class Fact(Keys):
    """A fact, and what it shall become."""

    id: str
    relation: str
    subject: str
    """Part of all its prompts."""
    prompt: str
    rephrases: tuple[str, ...]
    answer: str
    target: str
    neighbors: tuple[Stays, ...]
    unrelated: tuple[Stays, ...]


_FACTS = TypeAdapter(list[Fact])
EXAMPLE = (
    '[{"id": "paris", "relation": "capital", "subject": "France", "prompt": "The capital of France is", '
    '"rephrases": ["France has the capital"], "answer": "Paris", "target": "Lyon", '
    '"neighbors": [{"prompt": "The capital of Italy is", "answer": "Rome"}], '
    '"unrelated": [{"prompt": "Hamlet was written by", "answer": "Shakespeare"}]}]'
)
"""What a file looks like."""


def holds_facts(folder: Path) -> bool:
    return any(is_file(folder / name) for name in FILES.values())


def read_facts(folder: Path, task: Task, split: Split) -> list[Case]:
    """The cases of a split; facts are questions, never captions."""
    path = folder / FILES[split]
    if task != "vqa" or not is_file(path):
        return []
    content = read_json(path, "write the facts again")
    try:
        # Lists of JSON are tuples here, which strict validation of Python objects does not take.
        facts = _FACTS.validate_python(content, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = shortened(".".join(map(str, first["loc"]))) or "the file"
        raise UserError(
            f"{path} does not hold facts ({where}: {first['msg']}); write them like {EXAMPLE}."
        ) from error
    return [_case(fact, split) for fact in facts]


def write_facts(folder: Path, split: Split, facts: Sequence[Fact]) -> None:
    write_atomic(folder / FILES[split], _FACTS.dump_json(list(facts), indent=1) + b"\n")


def _case(fact: Fact, split: Split) -> Case:
    return Case(
        id=fact.id,
        task="vqa",
        split=split,
        image=None,
        image_id=fact.id,
        question=fact.prompt,
        question_type=fact.relation,
        target=fact.target,
        prediction=fact.answer,
        subject=fact.subject,
        probes=(
            *(
                Probe(kind="text_generality", question=one, answers=(fact.target,), prefixed=False)
                for one in fact.rephrases
            ),
            *_staying(fact.neighbors, "same_question"),
            *_staying(fact.unrelated, "far"),
        ),
    )


def _staying(facts: Sequence[Stays], relation: Relation) -> Iterator[Probe]:
    for fact in facts:
        yield Probe(
            kind="text_locality",
            id=fact.prompt,
            question=fact.prompt,
            answers=(fact.answer,),
            relation=relation,
            prefixed=False,
        )
