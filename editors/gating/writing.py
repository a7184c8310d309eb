"""How WISE writes an edit into its side memory: the losses, and the loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F

from editors.gating.sides import Place, beside, distances
from editors.losses import target_nll
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Batch, Below
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
class Moving:
    """How far a side memory moves what comes out of a module, as a mean over positions."""

    linear: nn.Linear
    activation: Callable[[Tensor], Tensor]

    def of(self, inputs: Tensor, change: Tensor) -> Tensor:
        """Of inputs (positions, in), in the precision of the change."""
        bias = None if self.linear.bias is None else self.linear.bias.to(change.dtype)
        main = F.linear(inputs, self.linear.weight.to(change.dtype), bias)
        return distances(self.activation, beside(inputs, main, change), main).mean()


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """An edit to be written."""

    query: Below
    """Known up to the layer of the side memory."""
    inputs: Tensor
    """What goes into the module at the positions of its prompt that are scored (positions, in)."""
    untouched: Sequence[Tensor]
    """The same of prompts that it does not touch."""


def write(
    mllm: MLLM, place: Place, config: WritingConfig, wish: Wish, change: Tensor, mask: Tensor
) -> Tensor:
    """The change of the matrix that also makes this edit; where the mask is False, it stays."""
    linear = place.linear(mllm)
    moving = Moving(linear.module, place.activation(mllm))
    weight = linear.module.weight.to(change.dtype)
    written = nn.Parameter(change.clone())
    before = math.inf

    def side(_: Batch, x: Tensor, y: Tensor) -> Tensor:
        return beside(x, y, written).to(y.dtype)

    with hooked(mllm, {linear.name: side}):
        for _ in range(config.steps):
            with torch.enable_grad():
                nll = target_nll(mllm.logits(wish.query)).mean()
                loss = nll.to(written.device) + margins(moving, wish, written, config)
            now = loss.item()
            if abs(now - before) <= SETTLED and now <= LOW:
                break
            before = now
            (gradient,) = torch.autograd.grad(loss, [written])
            with torch.no_grad():
                decay = config.weight_decay * (weight + written)
                written.sub_(config.lr * (gradient * mask + decay))
                written.clamp_(-config.norm, config.norm)
    return written.detach()


def margins(moving: Moving, wish: Wish, change: Tensor, config: WritingConfig) -> Tensor:
    """What is asked of how far the edit is moved and what it does not touch."""
    edit = moving.of(wish.inputs, change)
    others = torch.stack([moving.of(inputs, change) for inputs in wish.untouched])
    return hinges(edit, others, config)


def hinges(edit: Tensor, others: Tensor, config: WritingConfig) -> Tensor:
    """max(0, o - alpha) + max(0, beta - e) + max(0, gamma + o - e), each a mean over the others beyond it."""
    too_far = _beyond(others - config.alpha)
    too_near = _beyond(config.beta - edit[None])
    too_like = _beyond(config.gamma + others - edit)
    return too_far + too_near + too_like


def _beyond(values: Tensor) -> Tensor:
    """The mean of those above 0; 0 if there are none."""
    above = values > 0
    return torch.where(above, values, 0.0).sum() / above.sum().clamp(min=1)
