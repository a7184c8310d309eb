"""All measures of the bundled checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mmedit_build.checkpoints import locate
from mmedit_build.miniature.measure.base import Measure
from mmedit_build.miniature.sources import write_sources
from mmedit_build.mllm import MLLM


def _mllm(work: Path, device: str) -> list[Measure]:
    from mmedit_build.miniature.measure.mllm import measure_mllm

    mllm = MLLM.load(locate("miniature/mllm"), device=device)
    return measure_mllm(mllm, write_sources(work / "sources", train_images=1))


def _chat(_work: Path, device: str) -> list[Measure]:
    from mmedit_build.miniature.measure.chat import measure_chat

    return measure_chat(locate("miniature/chat"), device)


def _clip(_work: Path, device: str) -> list[Measure]:
    from mmedit_build.miniature.measure.clip import measure_clip

    return measure_clip(locate("miniature/clip"), device)


def _diffusion(_work: Path, device: str) -> list[Measure]:
    from mmedit_build.miniature.measure.diffusion import measure_diffusion

    return measure_diffusion(locate("miniature/diffusion"), locate("miniature/mllm"), device)


MEASURES: dict[str, Callable[[Path, str], list[Measure]]] = {
    "mllm": _mllm,
    "chat": _chat,
    "clip": _clip,
    "diffusion": _diffusion,
}


def measure(
    checkpoints: Sequence[str], work: Path, device: str, advance: Callable[[int], None]
) -> list[Measure]:
    """The measures of some checkpoints; `advance` hears of each that is done."""
    measures: list[Measure] = []
    for name in checkpoints:
        measures += MEASURES[name](work, device)
        advance(1)
    return measures
