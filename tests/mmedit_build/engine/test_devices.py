"""Each worker sees a device of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mmedit_build.engine.devices import VISIBLE, devices_for, environment_for, parse_devices
from mmedit_build.engine.local import Local
from mmedit_build.engine.options import open_engine
from mmedit_build.errors import UserError
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.recipe.models import devices_of


class Looking:
    """Tells what a worker sees."""

    def devices(self) -> Sequence[str]:
        return ("auto",)

    def open(self) -> None: ...

    def __call__(self, task: int, give: Callable[[Any], None]) -> None:
        give((task, os.environ.get(VISIBLE)))


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)


def seen_by(engine: Local, tasks: int) -> set[str | None]:
    found = []
    with engine.crew(Looking(), tasks) as crew:
        # As many as there are workers, so that each has one.
        crew.deal(list(range(tasks)), lambda _, given: found.append(given))
    assert sorted(task for task, _ in found) == list(range(tasks))
    return {seen for _, seen in found}


@pytest.mark.usefixtures("two_gpus")
def test_workers_take_the_gpus_in_turn() -> None:
    assert seen_by(Local(2), 2) == {"0", "1"}
    assert VISIBLE not in os.environ


@pytest.mark.usefixtures("two_gpus")
def test_devices_can_be_told_for_one_worker_too() -> None:
    assert seen_by(Local(1, ("cuda:1",)), 1) == {"1"}


def test_a_worker_for_each_device_unless_it_is_told() -> None:
    two = open_engine("local", None, "cuda:0, cuda:1+cuda:2", None)
    assert two == Local(2, ("cuda:0", "cuda:1+cuda:2"))
    assert open_engine("local", 4, "cuda:0,cuda:1", None) == Local(4, ("cuda:0", "cuda:1"))
    assert open_engine("local", None, None, None) == Local()


def test_options_of_the_other_engine_are_told() -> None:
    with pytest.raises(UserError, match="--address together with --engine ray"):
        open_engine("local", 1, None, "auto")
    with pytest.raises(UserError, match="leave out --devices"):
        open_engine("ray", 1, "cuda:0", None)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["auto", "cuda"], ["cuda:0", "cuda:1", "cuda:0"]),
        ([], []),
        (["cpu"], []),
        (["auto", "cuda:1"], []),
        (["all"], []),
    ],
)
def test_a_model_that_is_told_its_gpu_stays_there(named: list[str], found: list[str]) -> None:
    assert list(devices_for(3, (), named)) == found


def test_a_model_cannot_be_told_a_gpu_that_its_worker_does_not_see() -> None:
    with pytest.raises(UserError, match="told to be on 'cuda:1': say auto"):
        devices_for(2, ("cuda:0", "cuda:2"), ["auto", "cuda:1"])
    assert devices_for(1, ("cuda:0+cuda:1",), ["all"]) == ("cuda:0+cuda:1",)


def test_gpus_are_counted_among_those_that_are_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "4,6")
    assert environment_for("cuda:1") == {VISIBLE: "6"}
    assert environment_for("cuda:0+cuda:1") == {VISIBLE: "4,6"}
    assert environment_for("cpu") == {VISIBLE: ""}
    with pytest.raises(UserError, match="no device 'cuda:2' here"):
        environment_for("cuda:2")


@pytest.mark.parametrize("text", ["gpu", "cuda", "cuda:x", "cuda:0+cpu"])
def test_what_is_no_device_is_told(text: str) -> None:
    with pytest.raises(UserError, match="There is no device"):
        parse_devices(f"cuda:0,{text}")


def test_served_models_have_no_device() -> None:
    recipe = load_recipe("mmedit-served")
    assert devices_of(recipe.rephrase.model, recipe.rephrase.judge, None) == []
    assert devices_of(recipe.imagine.model) == ["auto"]
