"""An editor that cannot fail: it answers what it was told to, and all else as the model did.

No method, but a test of evaluations: it must come out with a full score everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor

from editors.base import Edit, Model, Overlay, State
from editors.families import MethodFamily
from editors.growing import Made
from editors.patches.overlays import RoutedPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE
from mmedit_build.pictures import image_key
from mmedit_build.recipe.fields import Strict

SURE = 1000.0
"""A logit beside which the others do not count."""


class OracleConfig(Strict):
    """Nothing can be chosen."""


class Oracle:
    """Answers the prompts of edits, and other queries that it is told belong to them, with their targets."""

    Config: ClassVar[type[OracleConfig]] = OracleConfig
    family: ClassVar[MethodFamily] = "sanity"
    touches: ClassVar[str] = "nothing (told the answers)"
    batch: ClassVar[bool] = False
    """Where one edit asks what another one must not change, not even an oracle has a full score."""

    def __init__(self, config: OracleConfig) -> None:
        self.config = config
        self._scope: dict[str, tuple[Query, ...]] = {}

    def tell(self, edit_id: str, scope: Sequence[Query]) -> None:
        """Name further queries that the edit of that id shall answer, such as its rephrases."""
        self._scope[edit_id] = tuple(scope)

    def plan(self, model: Model, edits: Sequence[Edit]) -> OraclePatch:  # noqa: ARG002  # needs no model
        if len(edits) > 1:
            raise UserError("The oracle tests the evaluation of single edits: give it one at a time.")
        (edit,) = edits
        # What follows from an edit has another answer than the edit, which goes last and so wins.
        scope = (*self._scope.get(edit.id, ()), edit.query)
        return OraclePatch({_name(query): query.target or edit.target for query in scope})

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> OraclePatch:
        """Where two edits ask the same, the later one is answered."""
        assert isinstance(made.patch, OraclePatch)
        answers = dict(made.patch.answers)
        for edit in edits:
            answers |= self.plan(model, [edit]).answers
        return OraclePatch(answers)


@dataclass(frozen=True, slots=True)
class OraclePatch(RoutedPatch):
    """Answers by digest of image and prompt."""

    answers: Mapping[str, str] = field(default_factory=dict)

    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:  # noqa: ARG002  # needs no model
        return [_name(query) in self.answers for query in queries]

    def other(self, under: Model) -> Model:
        return _Teller(under, self.answers)

    @property
    def changed(self) -> int:
        return 0

    def state(self) -> State:
        return State(fields={"answers": self.answers})

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(cast("Mapping[str, str]", state.fields["answers"]))


class _Teller(Overlay):
    """Knows the answers, and nothing but the answers."""

    def __init__(self, under: Model, answers: Mapping[str, str]) -> None:
        super().__init__(under)
        self._answers = answers

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        asked = self.under.score(queries, positions=positions, batch_size=batch_size)
        # Scored with the answers in the place of the targets too, to have their tokens.
        known = [replace(query, target=self._answers[_name(query)]) for query in queries]
        told = self.under.score(known, batch_size=batch_size)
        return [_said(*pair) for pair in zip(asked, told, strict=True)]

    def write(
        self,
        queries: Sequence[Query],
        *,
        max_new_tokens: int = 32,  # noqa: ARG002  # the answers are known whole
        batch_size: int = BATCH_SIZE,  # noqa: ARG002
    ) -> list[Generated]:
        return [Generated(self._answers[_name(query)].strip(), (0.0,)) for query in queries]


def _said(asked: Scored, told: Scored) -> Scored:
    """What was asked, with certainty about the tokens of the answer."""
    logits: Tensor = asked.logits.clone()
    number = min(len(asked.target_ids), len(told.target_ids))
    rows = torch.arange(asked.first, asked.first + number, device=logits.device)
    logits[rows, told.target_ids[:number]] = SURE
    return replace(asked, logits=logits)


def _name(query: Query) -> str:
    image = "" if query.image is None else image_key(query.image)
    return f"{image} {query.prompt}"
