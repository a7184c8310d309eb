"""One training loop for every checkpoint of the miniature: resumable, reproducible, with progress.

Batches are drawn from the number of the step, never from a running generator, so that a resumed training
sees exactly the batches that an undisturbed one sees.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmedit_build.errors import UserError

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


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training. The rate rises for WARM_UP steps and falls as a cosine."""

    name: str
    steps: int
    rate: float
    batch: int
    decay: float = 0.01
    average: float = 0.0
    """Decay of the moving average of the weights, which replaces them at the end; 0 for none."""

    def factor(self, step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))

    def random(self, step: int) -> random.Random:
        """The generator that draws the batch of a step."""
        return random.Random(f"{self.name}/{step}")

    def rows(self, step: int, number: int) -> NDArray[np.int64]:
        """A batch of `number` examples, by their numbers."""
        generator = np.random.default_rng(self.random(step).getrandbits(64))
        return generator.integers(0, number, self.batch)


def progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[loss]}"))


def fit(stage: Stage, module: torch.nn.Module, loss: Callable[[int], torch.Tensor], run: Run) -> None:
    """Train `module` to lower `loss(step)`; a finished or interrupted stage is taken up from its file."""
    learner = _Learner(stage, module)
    path = run.work / f"{stage.name}.pt"
    first = learner.resume(path)
    module.train()
    bar = run.progress.add_task(stage.name, total=stage.steps, completed=first, loss="")
    saved = time.monotonic()
    for step in range(first, stage.steps):
        torch.manual_seed(step)
        value = learner.update(loss(step), step)
        run.progress.advance(bar)
        if step % LOG_EVERY == 0:
            run.progress.update(bar, loss=f"{float(value):.4f}")
            log.info("%s: step %d of %d, loss %.4f", stage.name, step, stage.steps, float(value))
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            learner.save(path, step + 1)
            saved = time.monotonic()
    if first < stage.steps:
        learner.finish()
        learner.save(path, stage.steps)
    module.eval()


class _Learner:
    """A module with its optimizer and the moving average of its weights."""

    def __init__(self, stage: Stage, module: torch.nn.Module) -> None:
        self.stage = stage
        self.module = module
        self.trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=stage.rate, weight_decay=stage.decay, betas=(0.9, 0.98)
        )
        self.average = [parameter.detach().clone() for parameter in self.trained] if stage.average else []

    def update(self, loss: torch.Tensor, step: int) -> torch.Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.rate * self.stage.factor(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, CLIP_NORM)
        self.optimizer.step()
        if self.average:
            # The first steps are soon forgotten: they know nothing yet.
            decay = min(self.stage.average, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.trained], 1 - decay)
        return loss.detach()

    def finish(self) -> None:
        for parameter, mean in zip(self.trained, self.average, strict=bool(self.average)):
            parameter.data.copy_(mean)

    def save(self, path: Path, step: int) -> None:
        state: dict[str, Any] = {"stage": asdict(self.stage), "step": step, "average": self.average}
        state |= {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> int:
        """Load the stage's file where there is one; return the step to go on from."""
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True, map_location="cpu")
        if state["stage"] != asdict(self.stage):
            raise UserError(
                f"{path} was trained as {state['stage']}, but now the stage is {asdict(self.stage)}; "
                "delete the file to train the stage anew, or give another --work."
            )
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for mean, saved in zip(self.average, state["average"], strict=True):
            mean.copy_(saved)
        return int(state["step"])
