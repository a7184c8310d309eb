"""What goes into linear modules, anywhere in a model, while one query is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmedit_build.mllm import MLLM
from mmedit_build.mllm.rows import Row

Inputs = Mapping[str, list[Tensor]]
"""By the name of a weight, what went into its module (positions, in), in float32, each time that it ran."""


@contextmanager
def seen_inputs(mllm: MLLM, weights: Sequence[str]) -> Iterator[Inputs]:
    """Inside, what goes into the modules of the named weights is kept."""
    found: dict[str, list[Tensor]] = {name: [] for name in weights}
    with ExitStack() as undo:
        for name, inputs in found.items():
            module = mllm.model.get_submodule(name.removesuffix(".weight"))
            undo.callback(module.register_forward_hook(_keeping(inputs)).remove)
        yield found


def _keeping(found: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
    def keep(_: nn.Module, inputs: tuple[Any, ...], __: Tensor) -> None:
        found.append(inputs[0].detach().flatten(0, -2).float())

    return keep


def projector(mllm: MLLM) -> list[str]:
    """The weights of linear modules between vision tower, or Q-Former, and language model; some have none."""
    return [
        name
        for name in mllm.part("connector")
        if name.endswith(".weight")
        and not name.startswith("qformer.")
        and isinstance(mllm.model.get_submodule(name.removesuffix(".weight")), nn.Linear)
    ]


def target_mean(inputs: Sequence[Tensor], row: Row) -> Tensor:
    """The mean over the target's own positions, in a decoder layer."""
    (whole,) = inputs
    return whole[row.prompt_length - row.length :].mean(dim=0)


def image_mean(inputs: Sequence[Tensor], row: Row) -> Tensor | None:
    """The mean over the positions of the image, in a decoder layer; None where there is none."""
    (whole,) = inputs
    return whole[list(row.image)].mean(dim=0) if row.image else None


def whole_mean(inputs: Sequence[Tensor]) -> Tensor:
    """The mean over all positions."""
    return torch.cat(list(inputs)).mean(dim=0)
