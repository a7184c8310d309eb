"""WISE's patch: side memories of one matrix, and which of them a prompt is answered by, if any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor

from editors.areas import Area, area_of
from editors.base import State
from editors.gating.codebook import Gate
from editors.patches.gated import GatedPatch, Held
from editors.patches.hooks import Hook
from editors.patches.places import answer_steps, of_text
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch
from mmedit_build.mllm.parts import NamedLinear

Matrix = Literal["up", "down"]
Scored = Literal["text", "all"]
MAIN = -1
"""What is chosen where no side memory is: the model's own matrix."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A side memory."""

    change: Tensor
    """What it adds to the main matrix (out, in), in float32 at least: biases are so those of the main one."""
    moved: float
    """How much it moves what comes out for the prompt, of its edits, that it moves least; inf without any."""

    def to(self, device: torch.device) -> Side:
        return Side(self.change.to(device), self.moved)


@dataclass(frozen=True, slots=True)
class Place:
    """Where side memories are."""

    layer: int
    matrix: Matrix

    def linear(self, mllm: MLLM) -> NamedLinear:
        """The module whose matrix it is."""
        mlp = mllm.mlp(self.layer)
        return mlp.up if self.matrix == "up" else mlp.down

    def activation(self, mllm: MLLM) -> Callable[[Tensor], Tensor]:
        """What both outputs pass before they are compared: the MLP's own activation, as in WISE's code."""
        return mllm.mlp(self.layer).activation


def beside(x: Tensor, y: Tensor, change: Tensor) -> Tensor:
    """What a side memory puts out, from what goes into the module and what comes out of its main matrix.

    Changes (rows, out, in) are of one memory for each row.
    """
    return y.to(change.dtype) + x.to(change.dtype) @ change.mT


def distances(activation: Callable[[Tensor], Tensor], side: Tensor, main: Tensor) -> Tensor:
    """How far apart two outputs (..., out) are behind an activation (...)."""
    apart: Tensor = torch.linalg.vector_norm(activation(side) - activation(main.to(side.dtype)), dim=-1)
    return apart


@dataclass(frozen=True, slots=True, eq=False)
class SidePatch(GatedPatch):
    """Answers by the side memory that moves the prompt most, of those that move it as they move their edits.

    A prompt is moved by the mean, over its positions that are scored, of how far what comes out of the module
    moves. What is chosen acts on the whole prompt and the whole answer; with `gate` token each position after
    the prompt is looked at by itself, as where answers are written in published code.
    """

    place: Place
    sides: tuple[Side, ...]
    """The last one is what is still being written."""
    edits: int
    """Made so far, in all."""
    ratio: float
    """What share of how edits are moved is enough."""
    scored: Scored = "text"
    gate: Gate = "prompt"

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        linear, phi = self.place.linear(mllm), self.place.activation(mllm)
        weight = linear.module.weight
        if self.sides[0].change.shape != weight.shape:
            raise UserError(
                f"The side memory of the patch does not fit {linear.name} of {mllm.name}: "
                "apply the patch to the model it was planned for."
            )
        # Patches read from files lie in main memory, wherever the model is.
        sides = [side.to(weight.device) for side in self.sides]
        enough = torch.tensor([side.moved * self.ratio for side in sides], device=weight.device)
        held: Held[Tensor] = Held()

        def choose(moved: Tensor) -> Tensor:
            """From (sides, ...) the number of a side, or MAIN."""
            far = torch.where(moved >= enough.view(-1, *[1] * (moved.dim() - 1)), moved, -torch.inf)
            best = far.max(dim=0)
            return torch.where(best.values.isinf(), MAIN, best.indices)

        def route(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            moved = torch.stack([distances(phi, beside(x, y, one.change), y) for one in sides])
            # A model may lie on several devices, and what is known of a batch on its first.
            steps = answer_steps(batch, x.shape[1]).to(x.device)
            rows = held.of(batch, x.shape[1], lambda: choose(_over(moved, self._where(batch, steps))))
            chosen = rows[:, None].expand_as(steps)
            if self.gate == "token":
                chosen = torch.where(steps > 0, choose(moved), chosen)
            answered = y.clone()
            for number, side in enumerate(sides):
                inside = chosen == number
                answered[inside] = beside(x[inside], y[inside], side.change).to(y.dtype)
            return answered

        return {linear.name: route}

    def _where(self, batch: Batch, steps: Tensor) -> Tensor:
        """Which columns of whole prompts are scored."""
        if self.scored == "text":
            return of_text(batch).to(steps.device)
        return batch.valid.to(steps.device) & (steps <= 0)

    @property
    def changed(self) -> int:
        """How many parameters are added; those of the model stay."""
        return sum(side.change.numel() for side in self.sides)

    def touched(self, mllm: MLLM) -> Area:
        return area_of(mllm, [f"{self.place.linear(mllm).name}.weight"])

    def state(self) -> State:
        changes = {f"side.{number}": side.change for number, side in enumerate(self.sides)}
        moved = torch.tensor([side.moved for side in self.sides], dtype=torch.float64)
        fields = {"layer": self.place.layer, "matrix": self.place.matrix, "edits": self.edits}
        more = {"ratio": self.ratio, "scored": self.scored, "gate": self.gate}
        return State({**changes, "moved": moved}, {**fields, **more})

    @classmethod
    def from_state(cls, state: State) -> Self:
        fields: dict[str, Any] = dict(state.fields)
        place = Place(int(fields["layer"]), fields["matrix"])
        moved: Sequence[float] = state.tensors["moved"].tolist()
        sides = tuple(Side(state.tensors[f"side.{number}"], one) for number, one in enumerate(moved))
        return cls(
            place, sides, int(fields["edits"]), float(fields["ratio"]), fields["scored"], fields["gate"]
        )


def _over(moved: Tensor, where: Tensor) -> Tensor:
    """The mean over the marked columns: from (sides, rows, columns) to (sides, rows)."""
    return torch.where(where, moved, 0.0).sum(dim=-1) / where.sum(dim=-1)
