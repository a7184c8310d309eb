"""Training steps of MEND: as the toolkit makes them, and by full passes of one query at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.speed.models import Setting
from benchmarks.speed.modes import Work, working
from benchmarks.speed.plain import plainly
from editors.base import TrainEdit
from editors.learning.gradients import gradients
from editors.learning.hypernetworks import Hypernetwork, Inner, edited
from editors.learning.training import seeded
from editors.losses import locality_kl, target_nll
from editors.mend import MEND, MENDConfig
from editors.patches.side_by_side import SideBySide
from mmedit_build.mllm import MLLM, Query

BATCH = 8
"""Edits of a step, as MEND's default has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Steps with the optimizer's update: medians over the steps."""

    steps: int
    batch: int
    prepared: Work
    """To compute what is kept, once for each train edit."""
    reusing: Work
    plain: Work
    ratios: tuple[float, ...]
    loss_apart: float
    """The largest difference between losses, as a share of the loss."""
    gradients_apart: float
    """The length of the difference between gradients, as a share of theirs; of all tensors the largest."""

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def compare_training(setting: Setting, steps: int, batch: int = BATCH) -> Training:
    """Make each step in both ways, from the same state of the network."""
    mllm, editor = setting.mllm(), MEND(MENDConfig())
    train_edits = setting.train_edits(mllm)[: steps * batch]
    with seeded(editor.config.seed):
        network = editor.make_network(mllm, edited(mllm, editor.config.layers))
    with torch.enable_grad(), working(mllm, len(train_edits)) as prepared:
        practice = editor.make_learning(mllm, network, (train_edits, []))
    works: list[tuple[Work, Work]] = []
    losses: list[float] = []
    parts: list[float] = []
    for step in range(steps):
        chosen = [(step * batch + place) % len(train_edits) for place in range(batch)]
        start = {name: tensor.clone() for name, tensor in network.state_dict().items()}

        def ours(chosen: Sequence[int] = chosen, step: int = step) -> Tensor:
            return practice.loss(chosen, random.Random(step))

        def full(chosen: Sequence[int] = chosen, step: int = step) -> Tensor:
            return plain_loss(mllm, editor, network, [train_edits[i] for i in chosen], random.Random(step))

        plain_work, plain, plain_gradients = _step(mllm, network, practice.optimizer, full, batch)
        network.load_state_dict(start)
        work, loss, found = _step(mllm, network, practice.optimizer, ours, batch)
        works.append((work, plain_work))
        losses.append(abs(loss - plain) / abs(plain))
        parts.append(_apart(found, plain_gradients))
    return Training(
        steps=steps,
        batch=batch,
        prepared=prepared[0],
        reusing=sorted((one for one, _ in works), key=lambda one: one.seconds)[steps // 2],
        plain=sorted((one for _, one in works), key=lambda one: one.seconds)[steps // 2],
        ratios=tuple(other.seconds / one.seconds for one, other in works),
        loss_apart=max(losses),
        gradients_apart=max(parts),
    )


def plain_loss(
    mllm: MLLM, editor: MEND, network: Hypernetwork, edits: Sequence[TrainEdit], rng: random.Random
) -> Tensor:
    """The loss of MEND's practice, every query in a full pass of its own and nothing kept."""
    weights = list(edited(mllm, editor.config.layers))
    total = torch.zeros(())
    with plainly(mllm):
        told = [Inner(gradients(mllm, [one.edit.query], weights)[0]) for one in edits]
        for one, patch in zip(edits, network(told), strict=True):
            side = SideBySide([patch])
            for query in (one.text_rephrase or one.edit.query, one.image_rephrase or one.edit.query):
                with side.applied(mllm, [0]):
                    nll = target_nll(mllm.logits([query])).sum()
                total = total + editor.config.rephrase_weight * nll
            for group in filter(None, (one.text_locality, one.image_locality)):
                total = total + _kept(mllm, side, rng.choice(group))
    return total / len(edits)


def _kept(mllm: MLLM, side: SideBySide, query: Query) -> Tensor:
    before = mllm.score([query], positions="all")
    with side.applied(mllm, [0]):
        return locality_kl(before, mllm.logits([query], positions="all"))


def _step(
    mllm: MLLM,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[], Tensor],
    batch: int,
) -> tuple[Work, float, list[Tensor]]:
    network.train()
    with torch.enable_grad(), working(mllm, batch) as work:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
    found = [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in network.parameters()]
    return work[0], loss.item(), found


def _apart(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    return max(
        float((left - right).norm() / right.norm())
        for left, right in zip(one, other, strict=True)
        if right.any()
    )
