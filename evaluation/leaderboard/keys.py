"""The key of a dataset: what is asked and what is right, which raw answers are scored by again.

A key holds what the digest of a dataset is taken of, a line for each edit, so whoever has the digest can tell
that the key is the right one. It holds no images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evaluation.data.cases import Case, Premise, Probe
from evaluation.data.dataset import contents, digest_of
from evaluation.data.probes import Asked, ask_all
from evaluation.run.scoring import consensus_of
from mmedit_build.rows import Nearness
from mmedit_build.scoring.caption import Consensus


class _AsWritten:
    """Nobody is asked: questions stand as the dataset has them."""

    def question_prompt(self, question: str) -> str:
        return question


@dataclass(frozen=True)
class Key:
    """The edits of one task of a dataset, in its order."""

    digest: str
    cases: Sequence[Case]

    @cached_property
    def consensus(self) -> Consensus | None:
        """What captions are weighed by."""
        return consensus_of(self.cases)

    @cached_property
    def asked(self) -> list[list[Asked]]:
        """All that is asked about each edit, in the order of results."""
        return [ask_all(case, _AsWritten()) for case in self.cases]


def key_text(cases: Sequence[Case]) -> bytes:
    """The key of some edits."""
    return b"".join(contents(case) + b"\n" for case in cases)


def read_key(data: bytes) -> Key:
    """What is in a key; a ValueError if it is none."""
    lines = data.split(b"\n")[:-1]
    try:
        return Key(digest_of(lines), [_case(json.loads(line)) for line in lines])
    except (TypeError, LookupError, RecursionError) as error:
        raise ValueError("it is not made of edits") from error


def _case(content: list[Any]) -> Case:
    name, task, split, question, target, answers, _, probes, *_ = content
    return Case(
        id=name,
        task=task,
        split=split,
        image=None,
        image_id="",
        question=question,
        question_type="",
        target=target,
        prediction="",
        answers=tuple(answers),
        probes=tuple(map(_probe, probes)),
    )


def _probe(content: list[Any]) -> Probe:
    kind, name, question, answers, relation, premise, _, *near = content
    known = None if premise is None else Premise(question=premise[0], answers=tuple(premise[1]))
    return Probe(
        kind=kind,
        id=name,
        question=question,
        answers=tuple(answers),
        relation=relation,
        nearness=Nearness(*near) if near else None,
        premise=known,
    )
