"""Which device each worker has to itself."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmedit_build.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Where CUDA reads which GPUs there are for a process."""
ANY = ("auto", "cuda", "cpu")
"""Names of devices that mean the worker's own, or none."""


def parse_devices(text: str | None) -> tuple[str, ...]:
    """The devices of a comma list, one worker on each; `cuda:0+cuda:1` is one worker with two of them."""
    given = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in given:
        if name != "cpu" and not all(_number(one).isdecimal() for one in name.split("+")):
            raise UserError(
                f"There is no device '{name}' to give to a worker: name them as in cuda:0,cuda:1, several "
                "for one worker as in cuda:0+cuda:1, or cpu."
            )
    return given


def devices_for(workers: int, given: Sequence[str], named: Sequence[str]) -> Sequence[str]:
    """What so many workers have in turn: the devices that are given, else the GPUs that there are.

    `named` is where models are told to run: those that are told a certain GPU, or all of them, stay there.
    """
    if given:
        # All are those that a worker sees.
        check_unnamed([one for one in named if one != "all"])
    if given or _fixed(named) or all(one == "cpu" for one in named):
        return given
    # Imported here, as commands that start no workers take no torch.
    import torch

    there = torch.cuda.device_count()
    return [f"cuda:{number % there}" for number in range(workers)] if there > 1 else []


def environment_for(device: str) -> dict[str, str]:
    """What a process that is started finds so that it sees this device and no other."""
    if device == "cpu":
        return {VISIBLE: ""}
    numbers = [int(_number(one)) for one in device.split("+")]
    seen = os.environ.get(VISIBLE)
    names = seen.split(",") if seen else None
    if names is not None and max(numbers) >= len(names):
        raise UserError(f"There is no device '{device}' here: {VISIBLE} names {len(names)}.")
    return {VISIBLE: ",".join(str(number) if names is None else names[number] for number in numbers)}


def check_unnamed(named: Sequence[str]) -> None:
    """Refuse models that are told a GPU where workers have one of their own."""
    for one in _fixed(named):
        raise UserError(
            f"Each worker sees its own device only, so no model can be told to be on '{one}': say auto "
            "in its place."
        )


def _fixed(named: Sequence[str]) -> list[str]:
    return [one for one in named if one not in ANY]


def _number(name: str) -> str:
    kind, _, number = name.partition(":")
    return number if kind == "cuda" else ""
