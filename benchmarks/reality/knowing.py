"""Which of the facts of the table a model knows: those that it completes right in most wordings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import Strict
from mmedit_build.store import write_atomic
from mmedit_build.strict_yaml import read_file

TABLE = Path(__file__).parent / "facts.yaml"
BLANK = "{}"
"""Where the subject stands in a wording."""


class Relation(Strict):
    """What is asked alike of many subjects."""

    wordings: tuple[str, ...] = Field(min_length=3)
    facts: dict[str, str]

    def prompts(self, subject: str) -> list[str]:
        return [one.replace(BLANK, subject) for one in self.wordings]


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that the model knows, with the prompts that it completes right."""

    relation: str
    subject: str
    answer: str
    prompts: tuple[str, ...]


def read_table() -> dict[str, Relation]:
    content = read_file(TABLE, f"the facts {TABLE}")
    return {name: Relation.model_validate(relation) for name, relation in content.items()}


def ask_all(
    mllm: MLLM, table: dict[str, Relation], file: Path, advance: Callable[[int], None]
) -> dict[str, dict[str, list[bool]]]:
    """Of each relation and subject, which wordings are completed right; kept in a file as they are found."""
    found = json.loads(file.read_text()) if file.exists() else {}
    for name, relation in table.items():
        if name not in found:
            found[name] = dict(_asked(mllm, relation))
            write_atomic(file, json.dumps(found, indent=1).encode() + b"\n")
        advance(len(relation.facts))
    return found


def _asked(mllm: MLLM, relation: Relation) -> Iterator[tuple[str, list[bool]]]:
    queries = [
        Query(None, prompt, answer, form="plain")
        for subject, answer in relation.facts.items()
        for prompt in relation.prompts(subject)
    ]
    right = [bool((one.argmax == one.target_ids).all()) for one in mllm.score(queries)]
    each = len(relation.wordings)
    for number, subject in enumerate(relation.facts):
        yield subject, right[number * each : (number + 1) * each]


def known_facts(table: dict[str, Relation], right: dict[str, dict[str, list[bool]]]) -> list[Known]:
    """The facts completed right in more than half of the wordings."""
    known = []
    for name, relation in table.items():
        for subject, answer in relation.facts.items():
            told = right[name][subject]
            prompts = relation.prompts(subject)
            chosen = tuple(prompt for prompt, ok in zip(prompts, told, strict=True) if ok)
            if 2 * len(chosen) > len(told):
                known.append(Known(name, subject, answer, chosen))
    return known
