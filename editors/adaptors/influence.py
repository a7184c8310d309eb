"""How much each position of an image matters to the end of a prompt, in the attention of later layers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from editors.patches.hooks import Hook, hooked
from editors.patches.layers import device_of
from mmedit_build.mllm import MLLM, Batch, Below

EPSILON = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """Of some features of an image, by their numbers, in shares of 1; 0 where no layer looks so far back."""

    features: Tensor
    shares: Tensor

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.shares.nbytes


def traced(mllm: MLLM, layer: int) -> range:
    """The layers in which an influence after a layer is looked for: those behind it but for the last one."""
    return range(layer + 1, max(layer + 2, mllm.n_layers - 1))


def sampled_influence(
    mllm: MLLM, below: Below, layers: range, *, number: int, noise: float, rng: random.Random
) -> Influence:
    """Of so many features of the image of the one query, drawn by `rng`, as is the noise."""
    (row,) = below.rows
    features = sorted(rng.sample(range(len(row.image)), min(number, len(row.image))))
    # Drawn on the CPU, so that a seed means the same everywhere.
    generator = torch.Generator().manual_seed(rng.getrandbits(63))
    width = below.hidden[0].shape[1]
    noises = noise * torch.randn(len(layers), len(features), width, generator=generator)
    found = influence(mllm, below, layers, [row.image[one] for one in features], noises)
    # Where the gate stands, which is told of it.
    device = device_of(mllm, layers.start - 1)
    shares = found / found.sum().clamp(min=EPSILON)
    return Influence(torch.tensor(features, device=device), shares.to(device))


@torch.no_grad()
def influence(mllm: MLLM, below: Below, layers: range, places: Sequence[int], noises: Tensor) -> Tensor:
    """For each position of the one query, 1 - cos of what an attention puts out at the prompt's end.

    That is compared with noise (layers, places, width) on the position in what goes into the attention, and
    without; the mean over the layers (places,). No noise goes on to the layer after.
    """
    (row,) = below.rows
    end = row.prompt_length - 1
    found: list[Tensor] = []

    def compare(_: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what went in is not asked for
        found.append(1 - F.cosine_similarity(y[1:, end].float(), y[:1, end].float(), dim=-1))
        return y[:1].expand_as(y)

    outs = {layer: mllm.attention(layer).name for layer in layers}
    hooks: dict[str, Hook] = dict.fromkeys(outs.values(), compare)
    with ExitStack() as undo, hooked(mllm, hooks):
        for noise, out in zip(noises, outs.values(), strict=True):
            module = mllm.model.get_submodule(out.rpartition(".")[0])
            disturb = _disturbing(places, noise)
            undo.callback(module.register_forward_pre_hook(disturb, with_kwargs=True).remove)
        # The first one is clean.
        mllm.logits(below.take([0] * (1 + len(places))))
    return torch.stack([one.to(found[0].device) for one in found]).mean(dim=0)


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _disturbing(places: Sequence[int], noise: Tensor) -> Callable[..., Arguments]:
    """Adds to the n-th row but the first what is drawn for the n-th position, there."""

    def disturb(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
        states = named["hidden_states"]
        rows, at = torch.arange(1, len(states), device=states.device), torch.tensor(places)
        disturbed = states.index_put((rows, at.to(states.device)), noise.to(states), accumulate=True)
        return inputs, named | {"hidden_states": disturbed}

    return disturb
