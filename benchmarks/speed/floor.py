"""The floor that arithmetic sets: operations as torch counts them, over those of a linear module a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmedit_build.mllm import MLLM

POSITIONS = 512
"""Of the batch that the rate is measured with: some thirty rows of twenty."""
SECONDS = 0.3
"""How long it is measured."""


def operations(run: Callable[[], object]) -> int:
    """The floating-point operations of products of matrices while `run` runs; attention's included."""
    with FlopCounterMode(display=False, custom_mapping=_ON_CPU) as counter:
        run()
    found: int = counter.get_total_flops()
    return found


def rate(mllm: MLLM) -> float:
    """Operations in a second of processor time, of a linear module of a decoder layer and nothing else."""
    layer = mllm.mlp(-1).up.module
    x = torch.randn(POSITIONS, layer.in_features, dtype=mllm.dtype)
    with torch.no_grad():
        nn.functional.linear(x, layer.weight)
        times, start = 0, time.process_time()
        while (seconds := time.process_time() - start) < SECONDS:
            nn.functional.linear(x, layer.weight)
            times += 1
    return 2 * POSITIONS * layer.weight.numel() * times / seconds


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Two products, of queries with keys and of weights with values, masked or not."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


# Torch counts attention on GPUs alone.
_ON_CPU: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
