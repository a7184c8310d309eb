"""How WISE writes edits into side memories: the losses, and the loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from editors.gating.sides import Place, beside, distances
from editors.losses import target_nll
from editors.patches.hooks import hooked
from editors.portions import CHUNK, portions
from mmedit_build.mllm import MLLM, Batch, Below
from mmedit_build.mllm.below import joined
from mmedit_build.recipe.fields import Count, Strict

SETTLED, LOW = 1e-4, 0.02
"""An edit is written when its loss is at most the latter and changed by at most the former."""


class WritingConfig(Strict):
    """Numbers for small models; those published are in the text of `editors.wise`."""

    lr: PositiveFloat = 1.0
    """Learning rate of plain gradient descent."""
    steps: Count = 30
    """The most steps that one edit takes."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of the whole side matrix. Published is 1e-5, which also moves what the mask shall keep."""
    norm: PositiveFloat = 1.0
    """The farthest that any single weight may move."""
    alpha: PositiveFloat = 5.0
    """How much what an edit does not touch may be moved at most."""
    beta: PositiveFloat = 20.0
    """How much an edit shall be moved at least."""
    gamma: PositiveFloat = 10.0
    """How much more than what it does not touch."""


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """An edit to be written."""

    query: Below
    """Known up to the layer of the side memory."""
    inputs: Tensor
    """What goes into the module at the positions of its prompt that are scored (positions, in)."""
    untouched: Sequence[Tensor]
    """The same of prompts that it does not touch."""


class Moving:
    """How far side memories move what comes out of a module, as means over the positions of some prompts."""

    def __init__(
        self, mllm: MLLM, place: Place, prompts: Sequence[Sequence[Tensor]], dtype: torch.dtype
    ) -> None:
        """`prompts` hold as many for each memory: what goes into the module there (positions, in)."""
        linear = place.linear(mllm).module
        flat = [inputs.to(dtype) for of in prompts for inputs in of]
        self._activation = place.activation(mllm)
        padded = pad_sequence(flat, batch_first=True).unflatten(0, (len(prompts), -1))
        # The prompts of a memory stand one after the other, so that one product serves them.
        self._inputs = padded.flatten(1, 2)
        bias = None if linear.bias is None else linear.bias.to(dtype)
        self._main = F.linear(self._inputs, linear.weight.to(dtype), bias)
        lengths = torch.tensor([len(inputs) for inputs in flat], device=padded.device)
        self._lengths = lengths.unflatten(0, (len(prompts), -1))
        columns = torch.arange(padded.shape[2], device=padded.device)
        self._real = columns < self._lengths[..., None]

    def by(self, changes: Tensor, memories: Sequence[int]) -> Tensor:
        """By the changes (memories, out, in) of some of the memories (memories, prompts)."""
        of = list(memories)
        inputs, main, real = self._inputs[of], self._main[of], self._real[of]
        apart = distances(self._activation, beside(inputs, main, changes), main).view_as(real)
        found: Tensor = torch.where(real, apart, 0.0).sum(dim=-1) / self._lengths[of]
        return found


def write(
    mllm: MLLM, place: Place, config: WritingConfig, wishes: Sequence[Wish], changes: Tensor, mask: Tensor
) -> Tensor:
    """The changes of the matrix (wishes, out, in) that also make an edit each; where the mask is False, they
    stay."""
    weight = place.linear(mllm).module.weight.to(changes.dtype)
    moving = Moving(mllm, place, [[one.inputs, *one.untouched] for one in wishes], changes.dtype)
    found, left = changes.clone(), list(range(len(wishes)))
    before = changes.new_full((len(wishes),), math.inf)
    for _ in range(config.steps):
        written = nn.Parameter(found[left])
        with torch.enable_grad():
            moved = margins(moving.by(written, left), config)
        moved.sum().backward()
        now = moved.detach() + _answered(mllm, place, [wishes[one].query for one in left], written)
        settled = ((now - before[left]).abs() <= SETTLED) & (now <= LOW)
        before[left] = now
        left = [one for one, made in zip(left, settled.tolist(), strict=True) if not made]
        if not left:
            break
        assert written.grad is not None
        old, gradient = written.detach()[~settled], written.grad[~settled]
        step = config.lr * (gradient * mask + config.weight_decay * (weight + old))
        found[left] = (old - step).clamp(-config.norm, config.norm)
    return found


def _answered(mllm: MLLM, place: Place, queries: Sequence[Below], written: Tensor) -> Tensor:
    """-log p of the answer to each query under its own change; gradients are left in the changes."""
    losses = written.new_zeros(len(queries))
    lengths = [one.rows[0].length for one in queries]
    for chosen in portions(mllm, lengths, queries[0].layer, CHUNK):
        of = slice(chosen.start, chosen.stop)

        def side(batch: Batch, x: Tensor, y: Tensor, of: slice = of) -> Tensor:
            return beside(x, y, written[of][list(batch.indices)]).to(y.dtype)

        with torch.enable_grad(), hooked(mllm, {place.linear(mllm).name: side}):
            nll = target_nll(mllm.logits(joined(queries[of])))
        nll.sum().backward()
        losses[of] = nll.detach().to(losses)
    return losses


def margins(moved: Tensor, config: WritingConfig) -> Tensor:
    """What is asked of how far an edit, the first of each row, and what it does not touch are moved."""
    return hinges(moved[..., 0], moved[..., 1:], config)


def hinges(edit: Tensor, others: Tensor, config: WritingConfig) -> Tensor:
    """max(0, o - alpha) + max(0, beta - e) + max(0, gamma + o - e), each a mean over the others beyond it."""
    too_far = _beyond(others - config.alpha)
    too_near = _beyond(config.beta - edit[..., None])
    too_like = _beyond(config.gamma + others - edit[..., None])
    return too_far + too_near + too_like


def _beyond(values: Tensor) -> Tensor:
    """The mean of those above 0 (..., others); 0 if there are none."""
    above = values > 0
    return torch.where(above, values, 0.0).sum(dim=-1) / above.sum(dim=-1).clamp(min=1)
