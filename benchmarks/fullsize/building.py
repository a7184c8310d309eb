"""A model of any size from its config alone, with random weights, without ever holding a number twice."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, PreTrainedModel

from mmedit_build.mllm import FAMILIES, MLLM
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.rendering import CHECKPOINT
from tests.zoo.common import Member

NOISE = 2**22 - 3
"""How many numbers are drawn; they are repeated over all weights. A prime, so that rows do not line up."""
SPREAD = 0.02
META = torch.device("meta")


def make_family(member: Member, dtype: torch.dtype) -> Family:
    """The family on a model whose parameters have shapes, but no numbers yet."""
    with _no_numbers():
        model = AutoModelForImageTextToText.from_config(member.config, dtype=dtype)
    model.requires_grad_(False)
    model.train(False)
    module, _, name = FAMILIES[member.config.model_type].partition(":")
    family: Family = getattr(importlib.import_module(module), name)(
        model, member.tokenizer, member.image_processor, CHECKPOINT
    )
    return family


def make_model(name: str, member: Member, dtype: torch.dtype, device: torch.device) -> MLLM:
    """A model that can be used."""
    family = make_family(member, dtype)
    fill(family.model, device)
    return MLLM(family, name)


@torch.no_grad()
def fill(model: PreTrainedModel, device: torch.device) -> None:
    """Give every parameter numbers; those that were one and the same stay so."""
    drawn = SPREAD * torch.randn(NOISE, generator=torch.Generator().manual_seed(0))
    noise: dict[torch.dtype, Tensor] = {}
    made: dict[int, nn.Parameter] = {}
    # What is not a parameter has its numbers already.
    for buffer in model.buffers():
        buffer.data = buffer.data.to(device)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in made:
                if parameter.dtype not in noise:
                    noise[parameter.dtype] = drawn.to(device, parameter.dtype)
                tensor = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
                _fill(tensor, name, noise[parameter.dtype])
                made[id(parameter)] = nn.Parameter(tensor, requires_grad=False)
            module._parameters[name] = made[id(parameter)]


def _fill(tensor: Tensor, name: str, noise: Tensor) -> None:
    """Noise, but nothing in biases, and ones in the weights of norms."""
    if tensor.dim() == 1:
        tensor.fill_(1.0 if name == "weight" else 0.0)
        return
    flat = tensor.view(-1)
    for start in range(0, len(flat), len(noise)):
        part = flat[start : start + len(noise)]
        part.copy_(noise[: len(part)])


@contextmanager
def _no_numbers() -> Iterator[None]:
    """Inside, new parameters take no memory; buffers, which are small and computed, are as always."""
    register = nn.Module.register_parameter

    def registered(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and parameter.device != META:
            parameter = nn.Parameter(parameter.to(META), requires_grad=False)
        register(module, name, parameter)

    module: Any = nn.Module
    try:
        module.register_parameter = registered
        yield
    finally:
        module.register_parameter = register
