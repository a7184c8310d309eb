"""The one loop for editors that learn: updates, validation, early stopping, and going on after a kill."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.recipe.fields import Count, Strict, Whole
from mmedit_build.store import write_through

CHECKPOINT = "checkpoint.pt"


class TrainingConfig(Strict):
    """How an editor is trained."""

    steps: Count = 150
    """The most updates that are made."""
    batch_size: Count = 8
    """Edits that are looked at together, each under its own patch."""
    accumulate: Count = 1
    """Batches whose gradients make one update."""
    lr: PositiveFloat = 1e-4
    """Learning rate."""
    warmup: Whole = 0
    """Updates in which the learning rates rise to their height."""
    lr_falls: bool = False
    """Whether the learning rates then fall in a straight line, to nothing after the last of the steps."""
    clip: PositiveFloat = 100.0
    """The longest gradient; longer ones are shortened."""
    validate_every: Count = 25
    """Updates between two looks at the edits held out."""
    patience: Count = 100
    """Updates without a better validation after which training stops; the best one is kept."""
    seed: int = 0
    """Decides where the network starts and in which order it sees the edits."""
    keep_bytes: int = Field(default=2**31, ge=0)
    """How much of what never changes (hidden states below the edited layers, and the like) may be kept in
    memory; the rest is computed again whenever it is needed."""


class Learning(Protocol):
    """What the loop asks of an editor that learns from `number` edits."""

    module: nn.Module
    """All that is learned, statistics too. In train mode for `loss`, in eval mode for `validate`."""
    optimizer: torch.optim.Optimizer
    number: int

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        """The mean loss of the train edits chosen; `rng` is the same whenever the step is made."""

    def stepped(self) -> None:
        """Called after each update."""

    def validate(self) -> float:
        """How bad the module is on the edits held out."""


@dataclass(slots=True)
class Report:
    """How a training went."""

    step: int = 0
    """Updates made."""
    best: float = math.inf
    """The lowest validation, and the step it was seen at: what was learned is from there."""
    best_step: int = 0
    skipped: int = 0
    """Updates left out because their gradient was no finite number."""


def check_enough(train: Sequence[object], validation: Sequence[object]) -> None:
    """Refuse to learn from nothing, or unjudged."""
    if not train or not validation:
        raise UserError(
            f"There are {len(train)} edits to learn from and {len(validation)} to validate on: "
            "give some of each."
        )


@torch.enable_grad()
def train(
    learning: Learning, config: TrainingConfig, *, work: Path, advance: Callable[[int], None]
) -> Report:
    """Train until the steps are done or validation no longer gets better; the module is then the best one.

    At each validation all is written to `work`, and a training that was killed goes on from there. Nothing is
    drawn from a generator that lives on from step to step, so it then takes the same way as if undisturbed.
    """
    run = _Run(learning, config, work / CHECKPOINT)
    report = run.report
    advance(report.step)
    while report.step < config.steps and not run.stalled:
        run.update()
        advance(1)
        if report.step % config.validate_every == 0 or report.step == config.steps:
            run.validate()
            run.save()
    if not run.best:
        raise UserError(
            f"Training came to no finite loss in {report.step} steps, of which {report.skipped} were skipped "
            "for gradients that are no numbers: take a lower lr."
        )
    learning.module.load_state_dict(run.best)
    learning.module.eval()
    return report


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch draws by the seed on the CPU; outside, as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed other devices too, and for good.
        torch.default_generator.manual_seed(seed)
        yield


def edit_seed(seed: int, edit_id: str) -> int:
    """What an edit draws by: the same whatever edits came before it."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {edit_id}".encode(), digest_size=6).digest(), "big")


class _Run:
    """A training at some step."""

    def __init__(self, learning: Learning, config: TrainingConfig, path: Path) -> None:
        self.report = Report()
        self.best: dict[str, Tensor] = {}
        self._learning = learning
        self._config = config
        self._path = path
        self._order: tuple[int, list[int]] = (-1, [])
        if is_file(path):
            self._take_up()

    @property
    def stalled(self) -> bool:
        """Whether the edits held out have just been looked at, once too often without a better result."""
        step = self.report.step
        return step % self._config.validate_every == 0 and (
            step - self.report.best_step >= self._config.patience
        )

    def update(self) -> None:
        """One step of the optimizer, unless the gradient is no number."""
        learning, config, report = self._learning, self._config, self.report
        learning.module.train()
        learning.optimizer.zero_grad()
        for part in range(config.accumulate):
            number = report.step * config.accumulate + part
            loss = learning.loss(self._batch(number), random.Random(f"{config.seed}/batch {number}"))
            (loss / config.accumulate).backward()
        learned = list(learning.module.parameters())
        gradients = [one.grad for one in learned if one.grad is not None]
        # One by one, as what is learned may lie on several devices.
        norm = nn.utils.get_total_norm(gradients, foreach=False)
        if norm.isfinite():
            if norm > config.clip:
                nn.utils.clip_grads_with_norm_(learned, config.clip, norm, foreach=False)
            self._set_rates()
            learning.optimizer.step()
            learning.stepped()
        else:
            report.skipped += 1
        learning.optimizer.zero_grad()
        report.step += 1

    def _set_rates(self) -> None:
        config, step = self._config, self.report.step
        share = min(1.0, (step + 1) / max(1, config.warmup))
        if config.lr_falls:
            share = min(share, (config.steps - step) / max(1, config.steps - config.warmup))
        for group in self._learning.optimizer.param_groups:
            # Kept in the optimizer's state, and with it in the checkpoint.
            full = group.setdefault("initial_lr", group["lr"])
            group["lr"] = full * share

    def validate(self) -> None:
        """Look at the edits held out, and remember the module if it was never better."""
        self._learning.module.eval()
        with torch.no_grad():
            score = self._learning.validate()
        if score < self.report.best:
            self.report.best, self.report.best_step = score, self.report.step
            state = self._learning.module.state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def save(self) -> None:
        state = {
            "report": asdict(self.report),
            "best": self.best,
            "module": self._learning.module.state_dict(),
            "optimizer": self._learning.optimizer.state_dict(),
        }
        write_through(self._path, lambda file: torch.save(state, file))

    def _take_up(self) -> None:
        state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        self.report = Report(**state["report"])
        self.best = state["best"]
        self._learning.module.load_state_dict(state["module"])
        self._learning.optimizer.load_state_dict(state["optimizer"])

    def _batch(self, number: int) -> list[int]:
        """The edits of a batch: all are seen in an order of their own before any is seen again."""
        size = self._config.batch_size
        return [self._at(place) for place in range(number * size, (number + 1) * size)]

    def _at(self, place: int) -> int:
        epoch, index = divmod(place, self._learning.number)
        if epoch != self._order[0]:
            order = list(range(self._learning.number))
            random.Random(f"{self._config.seed}/epoch {epoch}").shuffle(order)
            self._order = epoch, order
        return self._order[1][index]
