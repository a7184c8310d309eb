"""The training loop, on a problem so small that every step can be told by hand."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from editors.learning.training import CHECKPOINT, Report, TrainingConfig, seeded, train
from mmedit_build.errors import UserError

NUMBER = 7


class Fitting:
    """Finds a vector near seven others; the noise in its losses is what the loop lets it draw."""

    def __init__(self, lr: float = 0.05, scores: Sequence[float] = ()) -> None:
        generator = torch.Generator().manual_seed(3)
        self.wanted = torch.randn(NUMBER, 4, generator=generator)
        self.module: nn.Module = nn.Linear(4, 1)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.zero_()
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.module.parameters(), lr=lr)
        self.number = NUMBER
        self.seen: list[list[int]] = []
        self.updates: list[list[Tensor]] = []
        self.modes: list[bool] = []
        self.broken: set[int] = set()
        self._scores = iter(scores)

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        self.modes.append(self.module.training)
        self.seen.append(list(chosen))
        near = (self.now()[0] - self.wanted[list(chosen)]).square().mean()
        return near * (math.nan if len(self.seen) in self.broken else 1.0) + 0.01 * rng.random() * near

    def stepped(self) -> None:
        self.updates.append([one.detach().clone() for one in self.module.parameters()])

    def validate(self) -> float:
        self.modes.append(self.module.training)
        assert not torch.is_grad_enabled()
        return next(self._scores, float((self.now()[0] - self.wanted.mean(dim=0)).square().mean()))

    def now(self) -> Tensor:
        found = self.module.get_parameter("weight")
        assert isinstance(found, Tensor)
        return found


def told(_: int) -> None:
    """Progress that nobody looks at."""


def run(learning: Fitting, folder: Path, advance: Callable[[int], None] = told, **options: Any) -> Report:
    chosen: dict[str, Any] = {"steps": 12, "batch_size": 3, "validate_every": 4} | options
    return train(learning, TrainingConfig(**chosen), work=folder, advance=advance)


def test_it_learns_and_tells_of_every_step(tmp_path: Path) -> None:
    learning = Fitting(lr=0.3)
    steps: list[int] = []
    report = run(learning, tmp_path, steps.append, steps=60)
    assert sum(steps) == 60
    assert report.step == 60
    assert report.skipped == 0
    assert report.best < 0.1
    assert learning.modes.count(False) == 15
    assert not learning.module.training


def test_it_learns_where_gradients_are_off(tmp_path: Path) -> None:
    learning = Fitting()
    with torch.no_grad():
        run(learning, tmp_path, steps=1)
    assert learning.now().any()


def test_all_edits_are_seen_before_any_is_seen_again(tmp_path: Path) -> None:
    orders: list[list[int]] = []
    for seed in (0, 0, 1):
        learning = Fitting()
        run(learning, tmp_path / str(len(orders)), steps=7, seed=seed)
        orders.append([place for batch in learning.seen for place in batch])
        for epoch in range(3):
            assert sorted(orders[-1][epoch * NUMBER : (epoch + 1) * NUMBER]) == list(range(NUMBER))
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:NUMBER] != orders[0][NUMBER : 2 * NUMBER]


def test_what_losses_draw_is_told_by_seed_and_batch(tmp_path: Path) -> None:
    drawn: list[float] = []

    class Drawing(Fitting):
        def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
            drawn.append(rng.random())
            return super().loss(chosen, rng)

    for number, seed in enumerate((0, 0, 1)):
        run(Drawing(), tmp_path / str(number), steps=3, seed=seed)
    assert drawn[:3] == drawn[3:6]
    assert len(set(drawn)) == 6


def test_gradients_of_several_batches_make_one_update(tmp_path: Path) -> None:
    class Quiet(Fitting):
        def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:  # noqa: ARG002  # without noise
            return super().loss(chosen, random.Random(0))

    one, other = Quiet(), Quiet()
    for learning in (one, other):
        # Adam would take the same steps along gradients of any length.
        learning.optimizer = torch.optim.SGD(learning.module.parameters(), lr=0.1)
    run(one, tmp_path / "one", batch_size=2, accumulate=3)
    run(other, tmp_path / "other", batch_size=6)
    assert len(one.seen) == 3 * len(other.seen)
    assert [part for batch in one.seen for part in batch] == [part for batch in other.seen for part in batch]
    torch.testing.assert_close(one.updates[-1], other.updates[-1])


def test_long_gradients_are_shortened(tmp_path: Path) -> None:
    learning = Fitting()
    learning.optimizer = torch.optim.SGD(learning.module.parameters(), lr=1.0)
    run(learning, tmp_path, steps=1, clip=1e-3)
    assert torch.cat([one.flatten() for one in learning.updates[0]]).norm() == pytest.approx(1e-3, rel=1e-3)


def test_learning_rates_rise_to_their_height(tmp_path: Path) -> None:
    learning = Fitting(lr=0.05)
    rates: list[float] = []
    run(
        learning,
        tmp_path,
        lambda _: rates.append(learning.optimizer.param_groups[0]["lr"]),
        warmup=5,
        steps=7,
    )
    assert rates[1:] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.05, 0.05])


def test_learning_rates_fall_to_nothing_also_after_a_stop(tmp_path: Path) -> None:
    rates: list[float] = []

    class Falling(Fitting):
        def stepped(self) -> None:
            rates.append(self.optimizer.param_groups[0]["lr"])

    def advance(_: int) -> None:
        if len(rates) == 5:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"steps": 8, "warmup": 2, "lr_falls": True}
    learning = Falling(lr=0.08)
    # An update that is skipped is a step too.
    learning.broken = {2}
    with pytest.raises(KeyboardInterrupt):
        run(learning, tmp_path, advance, **options)
    assert rates == pytest.approx([0.04, *[0.08 * share / 6 for share in (6, 5, 4, 3)]])
    rates.clear()
    run(Falling(lr=0.08), tmp_path, **options)
    assert rates == pytest.approx([0.08 * share / 6 for share in (4, 3, 2, 1)])


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    scores = [5.0, 3.0, 4.0, 3.5, 9.0, 1.0]
    learning = Fitting(scores=scores)
    report = run(learning, tmp_path, steps=100, validate_every=2, patience=6)
    # Best after 4 steps; the next three looks, up to step 10, are worse.
    assert report == Report(step=10, best=3.0, best_step=4)
    assert len(learning.updates) == 10
    assert torch.equal(learning.updates[3][0], learning.now())
    again = Fitting(scores=[*scores, *[2.0] * 9])
    assert run(again, tmp_path / "more", steps=100, validate_every=2, patience=8).best_step == 12


def test_it_looks_before_it_gives_up(tmp_path: Path) -> None:
    # A patience that ends between two looks, the first of which is yet to come, or did find something.
    report = run(Fitting(scores=[1.0, 2.0]), tmp_path, steps=20, validate_every=5, patience=3)
    assert report == Report(step=10, best=1.0, best_step=5)


def test_the_last_step_is_validated_wherever_it_falls(tmp_path: Path) -> None:
    report = run(Fitting(scores=[2.0, 1.0]), tmp_path, steps=6, validate_every=4)
    assert (report.best, report.best_step) == (1.0, 6)


def test_updates_that_are_no_numbers_are_skipped_and_counted(tmp_path: Path) -> None:
    learning = Fitting()
    learning.broken = {2, 3, 7}
    report = run(learning, tmp_path)
    assert report.skipped == 3
    assert report.step == 12
    assert len(learning.updates) == 9
    assert all(one.isfinite().all() for update in learning.updates for one in update)


def test_a_training_that_never_was_a_number_is_told(tmp_path: Path) -> None:
    learning = Fitting(scores=[math.nan] * 9)
    learning.broken = set(range(99))
    with pytest.raises(UserError, match=r"12 steps, of which 12 were skipped .* lower lr"):
        run(learning, tmp_path)


def killed(folder: Path, at: int) -> None:
    """Train in another process, which is killed without a word after so many steps."""

    def work() -> None:
        done = 0

        def advance(number: int) -> None:
            nonlocal done
            done += number
            if done >= at:
                os.kill(os.getpid(), signal.SIGKILL)

        learning = Fitting()
        learning.broken = {2}
        run(learning, folder, advance, warmup=9)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("kills", [[2], [6], [9, 11]])
def test_a_killed_training_goes_on_as_if_undisturbed(tmp_path: Path, kills: list[int]) -> None:
    expected, learning = Fitting(), Fitting()
    expected.broken = learning.broken = {2}
    report = run(expected, tmp_path / "undisturbed", warmup=9)
    for at in kills:
        killed(tmp_path / "killed", at)
    steps: list[int] = []
    if kills[0] > 4:
        # The second loss of all lies before the checkpoint.
        learning.broken = set()
    assert run(learning, tmp_path / "killed", steps.append, warmup=9) == report
    assert sum(steps) == 12
    assert steps[0] == kills[-1] // 4 * 4
    for one, other in zip(expected.module.parameters(), learning.module.parameters(), strict=True):
        assert torch.equal(one, other)
    assert learning.seen == expected.seen[steps[0] :]


def test_a_training_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    first, second = Fitting(), Fitting()
    report = run(first, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert run(second, tmp_path) == report
    assert second.seen == []
    assert torch.equal(first.now(), second.now())


def test_a_seed_acts_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("another device was seeded"))
    torch.default_generator.manual_seed(5)
    before = torch.random.get_rng_state()
    with seeded(1):
        torch.randn(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    monkeypatch.undo()
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    drawn = []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.randn(3))
    assert torch.equal(torch.randn(3), expected)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_checkpoint_is_not_put_together_in_memory(tmp_path: Path) -> None:
    learning = Fitting()
    # Beside what is learned, 8 MB that a checkpoint holds twice.
    learning.module.register_buffer("large", torch.zeros(2**21))
    tracemalloc.start()
    run(learning, tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / CHECKPOINT).stat().st_size > 2**24
    assert most < 2**22
