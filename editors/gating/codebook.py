"""GRACE's codebook: balls around what goes into a module, and what comes out instead for prompts in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from editors.areas import Area
from editors.base import State
from editors.patches.gated import GatedPatch, Held
from editors.patches.hooks import Hook
from editors.patches.places import answer_steps, prompt_ends
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch

Gate = Literal["prompt", "token"]
Label = tuple[int, ...]
"""An answer by its tokens."""
SAME = 1e-5
"""By what share of its length a key may differ from another and be the same one. It is also allowed at the
edge of a ball: what else is in a batch changes last bits."""
GAP = 1e-5
"""How much smaller than the newer one the older of two balls becomes that share what lies between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """One row, value and label for each key; nothing is in place, so that older codebooks stay."""

    keys: Tensor
    """What goes into the module at the end of prompts (keys, in)."""
    radii: Tensor
    """How far from its key a ball reaches (keys,)."""
    values: tuple[Tensor, ...] = ()
    """What comes out of the module from the end of the prompt on (steps, out), for each key."""
    labels: tuple[Label, ...] = ()
    """What the answers shall be."""

    @classmethod
    def empty(cls, width: int, like: Tensor) -> Self:
        return cls(like.new_zeros(0, width), like.new_zeros(0))

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device) -> Codebook:
        """The same on a device."""
        values = tuple(value.to(device) for value in self.values)
        return replace(self, keys=self.keys.to(device), radii=self.radii.to(device), values=values)

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Of queries (number, in), the distance of the nearest key and which one it is."""
        # Of keys as near as each other the newest counts. Not by products, whose rounding keeps a key from
        # being at no distance from itself.
        distances = torch.cdist(
            queries.to(self.keys.dtype), self.keys.flip(0), compute_mode="donot_use_mm_for_euclid_dist"
        )
        found = distances.min(dim=1)
        return found.values, len(self) - 1 - found.indices

    def chosen(self, queries: Tensor) -> Tensor:
        """The key in whose ball each query lies (number,), the edge included; -1 for none."""
        distance, nearest = self.nearest(queries)
        reach = self.radii[nearest] + SAME * self.keys[nearest].norm(dim=1)
        return torch.where(distance <= reach, nearest, -1)

    # As it grows

    def beside(self, key: Tensor, radius: float, label: Label) -> tuple[Codebook, int]:
        """With a key for an edit, by the rules of GRACE; and which one that is: it may be one that was there.

        A key far from all others is new. One nearer than both radii is new, too, if the answers differ: then
        both balls end half way. If they are the same answer, the ball that is there grows to hold it.
        """
        if not len(self):
            return self.with_key(key, radius, label)
        (distance,), (nearest,) = (one.tolist() for one in self.nearest(key[None]))
        if distance > radius + float(self.radii[nearest]):
            return self.with_key(key, radius, label)
        if self.labels[nearest] == label:
            return self._reaching(nearest, distance), nearest
        if self.is_at(key):
            return self.with_label(nearest, label), nearest
        halved = self._changed(radii=self._radius(nearest, distance / 2 - GAP))
        return halved.with_key(key, distance / 2, label)

    def is_at(self, key: Tensor) -> bool:
        """Whether there is such a key."""
        return len(self) > 0 and float(self.nearest(key[None])[0]) <= SAME * float(key.norm())

    def with_key(self, key: Tensor, radius: float, label: Label) -> tuple[Codebook, int]:
        """With one more key, which has no value yet."""
        keys = torch.cat([self.keys, key[None].to(self.keys)])
        radii = torch.cat([self.radii, self.radii.new_tensor([radius])])
        grown = Codebook(keys, radii, (*self.values, keys.new_zeros(0, 0)), (*self.labels, label))
        return grown, len(self)

    def with_label(self, number: int, label: Label) -> Codebook:
        """With a new answer at a key, which has no value then: two balls around one place cannot be told."""
        labels = (*self.labels[:number], label, *self.labels[number + 1 :])
        return replace(self, labels=labels).with_value(number, self.keys.new_zeros(0, 0))

    def with_value(self, number: int, value: Tensor) -> Codebook:
        """With another value of a key."""
        return self._changed(values=(*self.values[:number], value, *self.values[number + 1 :]))

    def _reaching(self, number: int, distance: float) -> Codebook:
        if distance <= float(self.radii[number]):
            return self
        return self._changed(radii=self._radius(number, distance))

    def _radius(self, number: int, radius: float) -> Tensor:
        radii = self.radii.clone()
        radii[number] = radius
        return radii

    def _changed(self, **fields: Any) -> Codebook:
        return replace(self, **fields)


@dataclass(frozen=True, slots=True, eq=False)
class CodebookPatch(GatedPatch):
    """Replaces what leads out of an MLP where a prompt ends in one of the balls.

    At the end of the prompt stands the first row of the key's value, and the others where the tokens after
    that are predicted. With `gate` prompt a ball that was chosen holds for the whole answer; with token each
    position from the end of the prompt on is looked up by itself, and gets the first row.
    """

    layer: int
    book: Codebook
    gate: Gate = "prompt"

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        down = mllm.mlp(self.layer).down
        if self.book.keys.shape[1] != down.module.in_features:
            raise UserError(
                f"The codebook of the patch does not fit the MLP of layer {self.layer} of {mllm.name}: "
                "apply the patch to the model it was planned for."
            )
        # Patches read from files lie in main memory, wherever the model is.
        book = self.book.to(down.module.weight.device)
        values = pad_sequence(list(book.values), batch_first=True)
        lengths = torch.tensor([len(value) for value in book.values], device=values.device)
        held: Held[Tensor] = Held()

        def look_up(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            # A model may lie on several devices, and what is known of a batch on its first.
            steps = answer_steps(batch, x.shape[1]).to(x.device)
            if self.gate == "token":
                chosen, steps = _at_each(book, x, steps >= 0), steps.clamp(max=0)
            else:
                ends = held.of(batch, x.shape[1], lambda: book.chosen(_at_ends(batch, x)))
                chosen = ends[:, None].expand_as(steps)
            inside = (chosen >= 0) & (steps >= 0) & (steps < lengths[chosen])
            replaced = y.clone()
            replaced[inside] = values[chosen[inside], steps[inside]].to(y.dtype)
            return replaced

        return {down.name: look_up}

    @property
    def changed(self) -> int:
        """How many parameters are added; those of the model stay."""
        values = sum(value.numel() for value in self.book.values)
        return self.book.keys.numel() + self.book.radii.numel() + values

    def touched(self, mllm: MLLM) -> Area:
        return {"what leaves the MLP": (mllm.layer_index(self.layer),)}

    def state(self) -> State:
        book = self.book
        tensors = {"keys": book.keys, "radii": book.radii, "values": torch.cat(book.values)}
        lengths = [len(value) for value in book.values]
        fields = {"layer": self.layer, "gate": self.gate, "lengths": lengths, "labels": book.labels}
        return State(tensors, fields)

    @classmethod
    def from_state(cls, state: State) -> Self:
        fields: dict[str, Any] = dict(state.fields)
        values = state.tensors["values"].split(list(fields["lengths"]))
        labels = tuple(map(tuple, cast("Sequence[Sequence[int]]", fields["labels"])))
        book = Codebook(state.tensors["keys"], state.tensors["radii"], values, labels)
        return cls(int(fields["layer"]), book, fields["gate"])


def _at_ends(batch: Batch, x: Tensor) -> Tensor:
    """What stands at the ends of prompts (rows, in)."""
    return x[torch.arange(len(x), device=x.device), prompt_ends(batch).to(x.device)]


def _at_each(book: Codebook, x: Tensor, where: Tensor) -> Tensor:
    """The key chosen at each of the marked positions (rows, positions); -1 elsewhere."""
    chosen = torch.full(where.shape, -1, device=x.device)
    chosen[where] = book.chosen(x[where])
    return chosen
