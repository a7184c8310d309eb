"""LiveEdit's patch: experts beside each other after a decoder layer, and what routes queries to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from editors.areas import Area
from editors.base import State
from editors.experts.modules import Experts, Reader, Seen, alike, shares_of
from editors.patches.gated import GatedPatch, Held
from editors.patches.hooks import Hook
from editors.patches.layers import device_of
from mmedit_build.mllm import MLLM, Batch


@dataclass(frozen=True, slots=True, eq=False)
class ExpertPatch(GatedPatch):
    """Adds at all positions of a query, and of what is written after it, what its experts say."""

    layer: int
    reader: Reader
    experts: Experts
    margin: float = 0.0
    """By how much an expert's image has to be nearer than the prototype."""

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        # Patches read from files lie in main memory, wherever the layer is.
        device = device_of(mllm, self.layer)
        reader, experts = self.reader.to(device), self.experts.to(device)
        held: Held[Tensor] = Held()

        def add(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what went in is not asked for
            states = y.to(reader.prototype.dtype)
            shares = held.of(
                batch, y.shape[1], lambda: route(reader, experts, Seen.of(batch, states), self.margin)
            )
            return added(reader, experts, shares, y)

        return {mllm.layer_name(self.layer): add}

    def touched(self, mllm: MLLM) -> Area:  # noqa: ARG002  # the layer is counted from the front
        return {"output": (self.layer,)}

    @property
    def changed(self) -> int:
        """How many numbers are added; the parameters of the model stay."""
        return sum(one.numel() for one in (*self.reader.parameters(), *self.experts.tensors))

    def joined_by(self, experts: Sequence[Experts]) -> Self:
        """The same with further experts."""
        return type(self)(self.layer, self.reader, Experts.joined([self.experts, *experts]), self.margin)

    def state(self) -> State:
        learned = {f"reader.{name}": one for name, one in self.reader.state_dict().items()}
        names = ("image", "text", "into", "out")
        own = {f"experts.{name}": one for name, one in zip(names, self.experts.tensors, strict=True)}
        return State(
            {**learned, **own},
            {"layer": self.layer, "heads": self.reader.extract.look.heads, "margin": self.margin},
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        learned = {
            name.removeprefix("reader."): one
            for name, one in state.tensors.items()
            if name.startswith("reader.")
        }
        layer, heads = (int(str(state.fields[name])) for name in ("layer", "heads"))
        own = (state.tensors[f"experts.{name}"] for name in ("image", "text", "into", "out"))
        return cls(
            layer, Reader.from_tensors(learned, heads), Experts(*own), float(str(state.fields["margin"]))
        )


def route(reader: Reader, experts: Experts, seen: Seen, margin: float = 0.0) -> Tensor:
    """Which experts act for a query, by its image, and how much each, by its words (rows, experts)."""
    likeness = alike(reader.extract.text(seen), experts.text)
    return shares_of(likeness, reader.near(seen, experts, margin))


def added(reader: Reader, experts: Experts, shares: Tensor, y: Tensor) -> Tensor:
    """What leaves the layer, with what experts add; where none acts, it stays bit for bit."""
    used, acting = shares.any(dim=0), shares.any(dim=1)
    if not used.any():
        return y
    change = reader(y.to(shares.dtype), experts.take(used), shares[:, used])
    return torch.where(acting[:, None, None], (y + change).to(y.dtype), y)
