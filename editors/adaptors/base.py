"""What the editors with adaptors share: they learn the adaptors, and a patch tells them edits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from editors.adaptors.config import AdaptorConfig
from editors.adaptors.modules import Adaptor
from editors.adaptors.patch import AdaptorPatch, Placed, Told, What, tell
from editors.adaptors.practice import AdaptorPractice
from editors.base import Edit, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.exercise import Data
from editors.learning.training import Report, check_enough, seeded
from editors.learning.training import train as learn
from editors.patches.layers import device_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


class AdaptorEditor(ABC):
    """Plans with adaptors that it has learned or taken up."""

    Config: ClassVar[type[AdaptorConfig]]
    family: ClassVar[MethodFamily] = "meta-learning"
    batch: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        self.config = config
        self._placed: tuple[Placed, ...] = ()
        self._threshold: float | None = None
        self._report = Report()

    @abstractmethod
    def places(self, mllm: MLLM) -> Sequence[tuple[int, What, int | None]]:
        """Of each adaptor its layer, what it moves, and how wide its gate is, if it has one."""

    def make_practice(self, mllm: MLLM, placed: Sequence[Placed], data: Data) -> AdaptorPractice:
        """What the training loop is given."""
        return AdaptorPractice(mllm, placed, self.config, data)

    def usable(self, train: Sequence[TrainEdit]) -> list[TrainEdit]:
        """The edits that adaptors can learn from."""
        return list(train)

    def check(self, edits: Sequence[Edit]) -> None:  # noqa: B027  # not every editor refuses some
        """Refuse edits that the adaptors cannot make."""

    def tuned(self, mllm: MLLM, validation: Sequence[TrainEdit]) -> float | None:  # noqa: ARG002
        """How much alike a query has to be for the patch to act, if that matters."""
        return None

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return int(self.config.steps)

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],
        *,
        work: Path,
        advance: Callable[[int], None],
    ) -> None:
        data = self.usable(train), self.usable(validation)
        check_enough(*data)
        placed = self._new(mllm)
        practice = self.make_practice(mllm, placed, data)
        self._report = learn(practice, self.config, work=work, advance=advance)
        practice.module.requires_grad_(False)
        self._placed, self._threshold = placed, self.tuned(mllm, data[1])

    def fitted(self) -> State:
        known = nn.ModuleList(one.adaptor for one in self._known())
        return State(known.state_dict(), {"training": asdict(self._report), "threshold": self._threshold})

    def restore(self, mllm: MLLM, state: State) -> None:
        placed = self._new(mllm)
        learned = nn.ModuleList(one.adaptor for one in placed)
        learned.load_state_dict(dict(state.tensors))
        learned.eval().requires_grad_(False)
        threshold = state.fields["threshold"]
        self._placed, self._threshold = placed, None if threshold is None else float(str(threshold))

    def _new(self, mllm: MLLM) -> tuple[Placed, ...]:
        config, width = self.config, mllm.embed_tokens.embedding_dim
        if config.middle % config.heads:
            raise UserError(f"{config.heads} heads cannot share a width of {config.middle}: give other ones.")
        # Made on the CPU, so that a seed means the same everywhere.
        with seeded(config.seed):
            made = [
                Placed(layer, what, Adaptor(width, config.middle, config.heads, gate))
                for layer, what, gate in self.places(mllm)
            ]
        for one in made:
            one.adaptor.to(device_of(mllm, one.layer))
        return tuple(sorted(made, key=lambda one: one.layer))

    def _known(self) -> tuple[Placed, ...]:
        if not self._placed:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._placed

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> AdaptorPatch:
        return AdaptorPatch(self._known(), self._told(model, edits), self._threshold)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> AdaptorPatch:
        """The edits are told beside those before them."""
        assert isinstance(made.patch, AdaptorPatch)
        return made.patch.joined_by(self._told(model, edits))

    @torch.no_grad()
    def _told(self, model: Model, edits: Sequence[Edit]) -> tuple[Told, ...]:
        mllm = unwrapped(model)
        layers = [one.layer for one in self._known()]
        self.check(edits)
        # Each by itself, so that an edit comes out the same whatever comes with it.
        return tuple(tell(mllm, [edit.query], layers)[0] for edit in edits)
