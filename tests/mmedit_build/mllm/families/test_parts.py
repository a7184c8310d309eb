"""The names of what a model consists of, and which of it has an effect."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from tests.mmedit_build.mllm.families.conftest import Specimens
from tests.zoo.members import MEMBERS

every_family = pytest.mark.parametrize("name", MEMBERS)


@every_family
def test_every_parameter_belongs_to_one_part(specimens: Specimens, name: str) -> None:
    mllm = specimens(name).mllm
    named = [one for part in ("vision", "connector", "language") for one in mllm.part(part)]
    assert sorted(named) == sorted(one for one, _ in mllm.model.named_parameters())


@every_family
def test_what_is_edited_has_an_effect(specimens: Specimens, queries: list[Query], name: str) -> None:
    mllm = specimens(name).mllm
    parts = ["vision"] if name == "gemma3" else ["vision", "connector"]
    linears = [linear for part in parts for linear in mllm.seeing_linears(part)]
    for part in parts:
        assert {linear.name for linear in mllm.seeing_linears(part)} <= {
            one.removesuffix(".weight") for one in mllm.part(part)
        }
    weights = [linear.module.weight for linear in linears]
    for weight in weights:
        weight.requires_grad_(True)
    with mllm.fresh_features():
        loss = torch.stack([one.log_prob for one in mllm.logits(queries)]).sum()
        gradients = torch.autograd.grad(loss, weights)
    for weight in weights:
        weight.requires_grad_(False)
    assert min(float(one.abs().max()) for one in gradients) > 1e-6


def test_a_part_without_linear_modules(specimens: Specimens) -> None:
    with pytest.raises(UserError, match="connector of this model has no linear modules"):
        specimens("gemma3").mllm.seeing_linears("connector")


@every_family
def test_mlp_and_attention(specimens: Specimens, queries: list[Query], name: str) -> None:
    """What is said to be the MLP gives what the layer's MLP gives."""
    mllm = specimens(name).mllm
    mlp = mllm.mlp(1)
    inputs: list[Tensor] = []
    hooks = [
        one.module.register_forward_hook(lambda _m, given, out: inputs.extend((given[0], out)))
        for one in (mlp.up, mlp.down)
    ]
    mllm.score(queries[:1])
    for hook in hooks:
        hook.remove()
    hidden, up, inner, _ = inputs
    expected = mlp.activation(up) if mlp.gate is None else mlp.activation(mlp.gate.module(hidden)) * up
    assert torch.allclose(inner, expected, atol=1e-6)
    assert mllm.attention(1).module.out_features == 32


@every_family
def test_the_head_acts_after_the_last_layer(specimens: Specimens, name: str) -> None:
    mllm = specimens(name).mllm
    head = mllm.model.get_output_embeddings()
    assert isinstance(head, nn.Linear)
    tied = head.weight is mllm.embed_tokens.weight
    (norm,) = [one for one in mllm._family.head_names if "norm" in one and one.endswith("weight")]
    assert mllm.first_layer([norm]) == mllm.n_layers
    assert mllm.first_layer([mllm.mlp(2).down.name + ".weight"]) == 2
    names = [one for one, weight in mllm.model.named_parameters() if weight is head.weight]
    assert mllm.first_layer(names) == (None if tied else mllm.n_layers)
