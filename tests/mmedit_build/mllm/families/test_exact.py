"""Every family, from every layer, against the plain forward of transformers on one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmedit_build.mllm import MLLM, Query, Scored
from tests.mmedit_build.mllm.families.conftest import Specimen, Specimens
from tests.zoo.members import MEMBERS

CLOSE = 2e-5
NEW_TOKENS = 8
# Nothing is asked for by a name that transformers gives up.
pytestmark = pytest.mark.filterwarnings("error:.* is deprecated:FutureWarning")
every_family = pytest.mark.parametrize("name", [*MEMBERS, "aya_vision"])


def worst(found: list[Scored], expected: list[Tensor]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float((one.logits - other).abs().max()) for one, other in pairs)


@every_family
@torch.no_grad()
def test_scores_are_those_of_the_plain_forward(specimens: Specimens, queries: list[Query], name: str) -> None:
    specimen = specimens(name)
    mllm, expected = specimen.mllm, [specimen.logits(query) for query in queries]
    for layer in range(mllm.n_layers + 1):
        below = mllm.below(queries, layer, batch_size=2)
        assert worst(mllm.score(below, positions="all", batch_size=3), expected) < CLOSE
    texts = [query for query in queries if query.image is None]
    plain = [one for one, query in zip(expected, queries, strict=True) if query.image is None]
    assert worst(mllm.score(texts, positions="all"), plain) < CLOSE


@every_family
def test_the_same_batch_gives_the_same_bits(specimens: Specimens, queries: list[Query], name: str) -> None:
    mllm = specimens(name).mllm
    whole = mllm.score(queries, positions="all")
    for layer in range(1, mllm.n_layers + 1):
        below = mllm.below(queries, layer)
        for known in (below, mllm.lifted(below)[1]):
            scored = mllm.score(known, positions="all")
            assert all(torch.equal(one.logits, two.logits) for one, two in zip(whole, scored, strict=True))


@every_family
def test_texts_are_those_of_generate(specimens: Specimens, queries: list[Query], name: str) -> None:
    specimen = specimens(name)
    mllm, expected = specimen.mllm, [specimen.text(query, NEW_TOKENS) for query in queries]
    assert len(set(expected)) > 1
    assert mllm.generate(queries, max_new_tokens=NEW_TOKENS) == expected
    for layer in range(1, mllm.n_layers + 1):
        below = mllm.below(queries, layer, for_generation=True, batch_size=2)
        assert mllm.generate(below, max_new_tokens=NEW_TOKENS, batch_size=3) == expected
        _, whole = mllm.lifted(below, new_tokens=NEW_TOKENS, batch_size=3)
        assert whole.layer == mllm.n_layers
        assert mllm.generate(whole, max_new_tokens=NEW_TOKENS, batch_size=2) == expected


@every_family
def test_gradients_are_those_of_the_plain_forward(
    specimens: Specimens, queries: list[Query], name: str
) -> None:
    specimen = specimens(name)
    mllm = specimen.mllm
    eye = mllm.seeing_linears("vision")[0].name
    names = [mllm.mlp(layer).down.name for layer in (0, 1, -1)] + [eye]
    with mllm.fresh_features():
        found = _gradients(mllm.model, names, lambda: _total(mllm.logits(queries)))
    expected = _gradients(specimen.hf, names, lambda: _plain_total(specimen, queries))
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-5


def _total(scored: list[Scored]) -> Tensor:
    return torch.stack([one.log_prob for one in scored]).sum()


def _plain_total(specimen: Specimen, queries: list[Query]) -> Tensor:
    total = torch.zeros(())
    for query, row in zip(queries, specimen.mllm.rows(queries), strict=True):
        said = specimen.logits(query)[row.prompt_length - 1 : -1].log_softmax(-1)
        total = total + said[range(len(row.target_ids)), row.target_ids].sum()
    return total


def _gradients(model: nn.Module, names: list[str], loss: Callable[[], Tensor]) -> list[Tensor]:
    weights = [model.get_parameter(f"{name}.weight") for name in names]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        with torch.enable_grad():
            return list(torch.autograd.grad(loss(), weights))
    finally:
        for weight in weights:
            weight.requires_grad_(False)


@every_family
def test_an_exception_leaves_nothing_behind(specimens: Specimens, queries: list[Query], name: str) -> None:
    mllm = specimens(name).mllm
    below, before, hooks = mllm.below(queries, 1), mllm.score(queries), _hooks(mllm)

    def fail(*_: Any) -> None:
        raise RuntimeError("inside")

    hook = mllm.layer(2).register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="inside"):
        mllm.score(below)
    hook.remove()
    assert _hooks(mllm) == hooks
    assert not any("forward" in vars(module) for module in mllm.model.modules())
    after = mllm.score(queries)
    assert all(torch.equal(one.logits, two.logits) for one, two in zip(before, after, strict=True))
    assert mllm.running is None


def _hooks(mllm: MLLM) -> list[tuple[int, int]]:
    # Not none: transformers itself keeps some on towers of which it looks at inner layers.
    return [(len(one._forward_hooks), len(one._forward_pre_hooks)) for one in mllm.model.modules()]


@every_family
def test_images_are_seen_alike_alone_and_together(
    specimens: Specimens, queries: list[Query], name: str
) -> None:
    mllm = specimens(name).mllm
    asked = [query for query in queries if query.image is not None]
    with mllm.fresh_features():
        together = mllm.image_features(asked)
        alone = [mllm.image_features([query])[0] for query in asked]
    for one, other in zip(together, alone, strict=True):
        assert float((one - other).abs().max()) < 1e-6 * float(other.abs().max())
