"""All measures of the checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mmedit_build.miniature.measure.base import Measure
from mmedit_build.miniature.measure.chat import measure_chat
from mmedit_build.miniature.measure.clip import measure_clip
from mmedit_build.miniature.measure.diffusion import measure_diffusion
from mmedit_build.miniature.measure.hops import measure_hops
from mmedit_build.miniature.measure.mllm import measure_mllm

MEASURES: dict[str, Callable[[Path, str], list[Measure]]] = {
    "mllm": partial(measure_mllm, "mllm"),
    "qwen": partial(measure_mllm, "qwen"),
    "chat": measure_chat,
    "hops": measure_hops,
    "clip": measure_clip,
    "diffusion": measure_diffusion,
}
"""Each is given the folder of all checkpoints and a device."""


def measure(
    checkpoints: Sequence[str], weights: Path, device: str, advance: Callable[[int], None]
) -> list[Measure]:
    """The measures of some checkpoints in the folder `weights`; `advance` hears of each that is done."""
    measures: list[Measure] = []
    for name in checkpoints:
        measures += MEASURES[name](weights, device)
        advance(1)
    return measures
