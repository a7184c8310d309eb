"""What VisEdit and DualEdit learn: an adaptor for one layer, and a gate for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from editors.learning.attention import Attention
from editors.learning.training import seeded


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Of one edit for each row: what leaves the layer when the unedited model is told it."""

    states: Tensor
    """(rows, positions, width)."""
    real: Tensor
    """(rows, positions)."""
    ends: Tensor
    """The states at the ends of the edits' prompts (rows, width)."""


class Residual(nn.Module):
    """An MLP beside what goes in."""

    def __init__(self, width: int, middle: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, middle)
        self.leave = nn.Linear(middle, width)

    def forward(self, states: Tensor) -> Tensor:
        found: Tensor = self.leave(F.relu(self.enter(states))) + states
        return found


class Gate(nn.Module):
    """How much each position matters for the prompt of an edit."""

    def __init__(self, width: int, middle: int, heads: int) -> None:
        super().__init__()
        self.norm_states = nn.LayerNorm(width)
        self.norm_ends = nn.LayerNorm(width)
        self.map_states = Residual(width, middle)
        self.map_ends = Residual(width, middle)
        # The mean over heads of their scaled products: the product of all, scaled.
        self._scale = 1 / heads / (width // heads) ** 0.5

    def forward(self, states: Tensor, ends: Tensor) -> Tensor:
        """Logits (rows, positions) from states (rows, positions, width) and prompt ends (rows, width)."""
        products = self.map_states(self.norm_states(states)) @ self.map_ends(self.norm_ends(ends))[..., None]
        found: Tensor = products[..., 0] * self._scale
        return found


class Adaptor(nn.Module):
    """What is added to states at chosen positions, from what they see of an edit."""

    def __init__(self, width: int, middle: int, heads: int, gate: int | None = None) -> None:
        """`gate`: how wide the middle of its gate is, if it has one."""
        super().__init__()
        self.norm_states = nn.LayerNorm(width)
        self.norm_edit = nn.LayerNorm(width)
        self.enter = nn.Linear(width, middle)
        self.attend = Attention(middle, width, middle, middle, heads)
        self.leave = nn.Linear(middle, width)
        self.gate = None if gate is None else Gate(width, gate, heads)

    def forward(self, states: Tensor, edit: Signals) -> tuple[Tensor, Tensor | None]:
        """What is added (rows, positions, width), and the gate's logits (rows, positions)."""
        seen = self.attend(self.enter(self.norm_states(states)), self.norm_edit(edit.states), edit.real)
        change: Tensor = self.leave(seen)
        if self.gate is None:
            return change, None
        logits: Tensor = self.gate(states, edit.ends)
        return change * logits.sigmoid()[..., None], logits

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], heads: int) -> Self:
        """The adaptor whose `state_dict` these are."""
        middle, width = tensors["enter.weight"].shape
        gate = tensors.get("gate.map_ends.enter.weight")
        # Modules draw weights when they are made, though these are overwritten.
        with seeded(0), torch.device(tensors["enter.weight"].device):
            found = cls(width, middle, heads, None if gate is None else len(gate))
        found.load_state_dict(dict(tensors))
        return found.requires_grad_(False)
