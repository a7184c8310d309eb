"""The patch of VisEdit and DualEdit: adaptors after decoder layers, and what each edit tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from editors.adaptors.modules import Adaptor, Signals
from editors.areas import Area
from editors.base import Json, State
from editors.patches.gated import Held
from editors.patches.hooks import Hook, HookPatch
from editors.patches.layers import Columns, device_of, leaving
from editors.patches.places import asking, of_image, prompt_ends
from mmedit_build.mllm import MLLM, Batch, Query

What = Literal["image", "text"]
Choice = tuple[Tensor, Tensor]
"""For each row which edit it may be of, and whether it is (rows,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An adaptor, the layer that it stands after, and which positions it moves."""

    layer: int
    what: What
    adaptor: Adaptor

    def columns(self, batch: Batch) -> Tensor:
        """Those it moves (rows, columns); of text all behind the image but the prompt's last position."""
        if self.what == "image":
            return of_image(batch)
        found = asking(batch)
        return found.scatter(1, prompt_ends(batch)[:, None], False)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An edit as the unedited model is told it."""

    states: tuple[Tensor, ...]
    """What leaves the layer of each adaptor (length, width)."""
    end: int
    """The last position of its prompt."""

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self.states)


def tell(mllm: MLLM, queries: Sequence[Query], layers: Sequence[int]) -> list[Told]:
    """What the model is told by edits, whose queries may be known up to the lowest of the layers."""
    ends = [row.prompt_length - 1 for row in mllm.rows(queries)]
    return [Told(*one) for one in zip(leaving(mllm, queries, layers), ends, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class AdaptorPatch(HookPatch):
    """Moves the positions of prompts alone: what is written after them attends to what was moved.

    Of several edits that one counts for a query whose prompt's end is most like the query's, after the lowest
    of the layers; with a threshold, none does unless they are as much alike as that.
    """

    placed: tuple[Placed, ...]
    """From the lowest layer up."""
    edits: tuple[Told, ...]
    threshold: float | None = None

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        ends = torch.stack([edit.states[0][edit.end] for edit in self.edits])

        def choose(batch: Batch, y: Tensor) -> Choice:
            return nearest(ends.to(y.device), ends_of(batch, y), self.threshold)

        return adapting(mllm, self.placed, self.edits, choose)

    def touched(self, mllm: MLLM) -> Area:  # noqa: ARG002  # layers are counted from the front
        return {f"output at {one.what} positions": (one.layer,) for one in self.placed}

    @property
    def changed(self) -> int:
        """How many numbers are added; the parameters of the model stay."""
        learned = sum(one.numel() for placed in self.placed for one in placed.adaptor.parameters())
        return learned + sum(one.numel() for edit in self.edits for one in edit.states)

    def joined_by(self, edits: Sequence[Told]) -> Self:
        """The same with further edits."""
        return type(self)(self.placed, (*self.edits, *edits), self.threshold)

    def state(self) -> State:
        tensors: dict[str, Tensor] = {}
        for number, one in enumerate(self.placed):
            learned = one.adaptor.state_dict()
            tensors |= {f"adaptors.{number}.{name}": tensor for name, tensor in learned.items()}
            tensors[f"edits.{number}"] = torch.cat([edit.states[number] for edit in self.edits])
        fields: dict[str, Json] = {
            "placed": [[one.layer, one.what, one.adaptor.attend.heads] for one in self.placed],
            "edits": [[len(edit.states[0]), edit.end] for edit in self.edits],
            "threshold": self.threshold,
        }
        return State(tensors, fields)

    @classmethod
    def from_state(cls, state: State) -> Self:
        rows = cast("Sequence[tuple[int, What, int]]", state.fields["placed"])
        placed, lots = [], []
        kept = cast("Sequence[tuple[int, int]]", state.fields["edits"])
        lengths = [length for length, _ in kept]
        for number, (layer, what, heads) in enumerate(rows):
            prefix = f"adaptors.{number}."
            own = {
                name.removeprefix(prefix): tensor
                for name, tensor in state.tensors.items()
                if name.startswith(prefix)
            }
            placed.append(Placed(layer, what, Adaptor.from_tensors(own, heads)))
            lots.append(state.tensors[f"edits.{number}"].split(lengths))
        told = [Told(states, end) for states, (_, end) in zip(zip(*lots, strict=True), kept, strict=True)]
        return cls(tuple(placed), tuple(told), cast("float | None", state.fields["threshold"]))


def ends_of(batch: Batch, y: Tensor) -> Tensor:
    """The states at the ends of the prompts (rows, width)."""
    ends = prompt_ends(batch).to(y.device)
    return y[torch.arange(len(y), device=y.device), ends]


def nearest(edits: Tensor, ends: Tensor, threshold: float | None) -> Choice:
    """For each end (rows, width) the edit (edits, width) most like it, the newest of equals."""
    alike = F.cosine_similarity(ends[:, None].float(), edits[None].float(), dim=-1)
    best = alike.max(dim=1).values
    newest = alike.shape[1] - 1 - alike.flip(1).max(dim=1).indices
    near = torch.ones_like(newest, dtype=torch.bool) if threshold is None else best >= threshold
    return newest, near


def adapting(
    mllm: MLLM,
    placed: Sequence[Placed],
    edits: Sequence[Told],
    choose: Callable[[Batch, Tensor], Choice],
    see: Callable[[Tensor, Tensor], None] | None = None,
) -> dict[str, Hook]:
    """Hooks of adaptors; `choose` decides after the lowest layer.

    `see` is shown the logits of gates (rows, places), and which places there are.
    """
    held: Held[Choice] = Held()
    lowest = placed[0].layer
    here: dict[int, list[tuple[int, Placed]]] = defaultdict(list)
    for number, one in enumerate(placed):
        here[one.layer].append((number, one))
        # Patches read from files lie in main memory, wherever the layer is.
        one.adaptor.to(device_of(mllm, one.layer))

    def adapt(layer: int, batch: Batch, _: Tensor, y: Tensor) -> Tensor:
        if y.shape[1] != batch.valid.shape[1]:
            return y
        if layer == lowest:
            chosen, near = held.of(batch, y.shape[1], lambda: choose(batch, y))
        else:
            chosen, near = (one.to(y.device) for one in held.known(batch))
        for number, one in here[layer]:
            columns = Columns(one.columns(batch).to(y.device) & near[:, None])
            if columns.real.any():
                told = _signals([edits[i] for i in chosen.tolist()], number, one.adaptor.enter.weight)
                change, logits = one.adaptor(columns.take(y).to(told.states.dtype), told)
                y = columns.add(y, change)
                if see is not None and logits is not None:
                    see(logits, columns.real)
        return y

    return {mllm.layer_name(layer): partial(adapt, layer) for layer in here}


def _signals(edits: Sequence[Told], number: int, like: Tensor) -> Signals:
    """What the adaptor of that number sees, one edit for each row."""
    states = [edit.states[number].to(like) for edit in edits]
    lengths = torch.tensor([len(one) for one in states], device=like.device)
    padded = pad_sequence(states, batch_first=True)
    real = torch.arange(padded.shape[1], device=like.device) < lengths[:, None]
    ends = torch.stack([one[edit.end] for one, edit in zip(states, edits, strict=True)])
    return Signals(padded, real, ends)
