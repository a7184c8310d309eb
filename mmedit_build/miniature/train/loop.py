"""One training loop for every checkpoint of the miniature: resumable, reproducible, with progress.

Batches are drawn from the number of the step, never from a running generator, so that a resumed training
sees exactly the batches that an undisturbed one sees.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

SAVE_EVERY_SECONDS = 60
LOG_EVERY = 20
CLIP_NORM = 1.0
WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Run:
    """Where and on what a training runs."""

    work: Path
    device: torch.device
    progress: Progress

    def path(self, name: str) -> Path:
        return self.work / f"{name}.pt"


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a stage learns. The rate rises for WARM_UP steps and falls as a cosine."""

    steps: int
    rate: float
    decay: float = 0.01
    average: float = 0.0
    """Decay of the moving average of the weights, which replaces them at the end; 0 for none."""

    def factor(self, step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))


def step_random(name: str, step: int) -> random.Random:
    """The generator that draws the batch of a step."""
    return random.Random(f"{name}/{step}")


def step_numpy(name: str, step: int) -> np.random.Generator:
    """The same for arrays of numbers."""
    return np.random.default_rng(step_random(name, step).getrandbits(64))


def progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[loss]}"))


def fit(
    name: str, module: torch.nn.Module, loss: Callable[[int], torch.Tensor], schedule: Schedule, run: Run
) -> None:
    """Train `module` to lower `loss(step)`; a finished or interrupted stage is taken up from its file."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.rate, weight_decay=schedule.decay, betas=(0.9, 0.98))
    average = [parameter.detach().clone() for parameter in trained] if schedule.average else []
    first = _resume(run.path(name), module, optimizer, average, schedule)
    module.train()
    bar = run.progress.add_task(name, total=schedule.steps, completed=first, loss="")
    saved = time.monotonic()
    for step in range(first, schedule.steps):
        torch.manual_seed(step)
        value = _update(trained, optimizer, loss(step), schedule, step)
        _move_average(average, trained, min(schedule.average, (1 + step) / (10 + step)))
        run.progress.advance(bar)
        if step % LOG_EVERY == 0:
            run.progress.update(bar, loss=f"{float(value):.4f}")
            log.info("%s: step %d of %d, loss %.4f", name, step, schedule.steps, float(value))
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            _save(run.path(name), module, optimizer, average, step + 1)
            saved = time.monotonic()
    if first < schedule.steps:
        _move_average(trained, average, 0.0)
        _save(run.path(name), module, optimizer, average, schedule.steps)
    module.eval()


def _update(
    trained: Iterable[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    loss: torch.Tensor,
    schedule: Schedule,
    step: int,
) -> torch.Tensor:
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate * schedule.factor(step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def _move_average(average: Iterable[torch.Tensor], values: Iterable[torch.Tensor], decay: float) -> None:
    for mean, value in zip(average, values, strict=False):
        mean.lerp_(value, 1 - decay)


def _save(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: list[torch.Tensor],
    step: int,
) -> None:
    state: dict[str, Any] = {"step": step, "module": module.state_dict(), "average": average}
    state["optimizer"] = optimizer.state_dict()
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _resume(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: list[torch.Tensor],
    schedule: Schedule,
) -> int:
    """Load the stage's file where there is one; return the step to go on from."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    _move_average(
        average, [saved.to(mean.device) for saved, mean in zip(state["average"], average, strict=True)], 0.0
    )
    return min(int(state["step"]), schedule.steps)
