from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import Blip2ForConditionalGeneration

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.below import joined

LAYERS = range(7)


@pytest.mark.parametrize("layer", LAYERS)
def test_scores_equal_plain_forward(
    mllm: MLLM, mixture: list[Query], plain_logits: Callable[[Query], Tensor], layer: int
) -> None:
    below = mllm.below(mixture, layer)
    for query, scored in zip(mixture, mllm.score(below, positions="all"), strict=True):
        torch.testing.assert_close(scored.logits, plain_logits(query).detach(), rtol=0, atol=1e-5)
    for direct, reused in zip(mllm.score(mixture), mllm.score(below), strict=True):
        torch.testing.assert_close(reused.logits, direct.logits, rtol=0, atol=1e-5)
        assert torch.equal(reused.target_ids, direct.target_ids)


@pytest.mark.parametrize("layer", LAYERS)
def test_texts_equal_plain_generation(
    mllm: MLLM, mixture: list[Query], plain_text: Callable[[Query, int, list[int]], str], layer: int
) -> None:
    below = mllm.below(mixture, layer, for_generation=True, batch_size=4)
    expected = [plain_text(query, 8, list(mllm.stop_ids)) for query in mixture]
    assert mllm.generate(below, max_new_tokens=8) == expected
    assert mllm.generate(below, max_new_tokens=8, batch_size=2) == expected


def test_only_the_layers_above_run(mllm: MLLM, mixture: list[Query]) -> None:
    below = mllm.below(mixture, 4)
    vision, layers = mllm.counts.vision, mllm.counts.layers
    mllm.score(below)
    assert mllm.counts.layers - layers == 2 * len(mixture)
    assert mllm.counts.vision == vision


def test_kept_tensors_are_compact(mllm: MLLM, mixture: list[Query]) -> None:
    below = mllm.below(mixture, 3)
    positions = sum(row.length for row in below.rows)
    assert below.nbytes == positions * 32 * 4
    assert all(len(hidden.untyped_storage()) == hidden.nbytes for hidden in below.hidden)
    kept = mllm.below(mixture, 3, for_generation=True)
    prompts = sum(row.prompt_length for row in below.rows)
    assert kept.nbytes == below.nbytes + prompts * 32 * 4 * 2 * 3


def test_it_is_a_sequence_of_its_queries(mllm: MLLM, mixture: list[Query]) -> None:
    below = mllm.below(mixture, 2)
    assert list(below) == mixture
    assert below[3] is mixture[3]
    direct = mllm.score([mixture[4], mixture[1]])
    for chosen in (below.take([4, 1]), below[4:0:-3]):
        for ours, theirs in zip(mllm.score(chosen), direct, strict=True):
            torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-5)


def test_a_changed_weight_above_acts(mllm: MLLM, mixture: list[Query]) -> None:
    below = mllm.below(mixture, 3, for_generation=True)
    before = mllm.score(below), mllm.generate(below, max_new_tokens=6)
    with torch.no_grad():
        mllm.mlp(3).down.module.weight.mul_(-2)
    changed = mllm.score(below), mllm.generate(below, max_new_tokens=6)
    for old, new, direct in zip(before[0], changed[0], mllm.score(mixture), strict=True):
        assert not torch.allclose(old.logits, new.logits, atol=1e-2)
        torch.testing.assert_close(new.logits, direct.logits, rtol=0, atol=1e-5)
    assert changed[1] == mllm.generate(mixture, max_new_tokens=6) != before[1]


def test_a_hook_above_acts(mllm: MLLM, mixture: list[Query]) -> None:
    below = mllm.below(mixture, 3)
    before = mllm.score(below)
    mllm.layer(5).register_forward_hook(lambda _module, _inputs, output: output + 1.5 * output.roll(1, -1))
    for old, new, direct in zip(before, mllm.score(below), mllm.score(mixture), strict=True):
        assert not torch.allclose(old.logits, new.logits, atol=1e-2)
        torch.testing.assert_close(new.logits, direct.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 2, 5])
def test_gradients_equal_those_of_the_plain_forward(
    mllm: MLLM,
    hf: Blip2ForConditionalGeneration,
    mixture: list[Query],
    plain_logits: Callable[[Query], Tensor],
    layer: int,
) -> None:
    below = mllm.below(mixture, layer)
    names = [name for i in range(layer, 6) for name in mllm.part(f"layer.{i}")]
    ours = [mllm.model.get_parameter(name).requires_grad_() for name in names]
    loss = -torch.stack([scored.log_prob for scored in mllm.logits(below)]).sum()
    grads = torch.autograd.grad(loss, ours)
    expected = torch.autograd.grad(_plain_loss(mixture, mllm, plain_logits), _parameters(hf, names))
    for name, grad, plain in zip(names, grads, expected, strict=True):
        torch.testing.assert_close(grad, plain, rtol=1e-4, atol=1e-4)
        assert float(plain.abs().max()) > 1e-3 or "k_proj.bias" in name  # softmax cancels a bias of all keys


def _plain_loss(queries: list[Query], mllm: MLLM, plain_logits: Callable[[Query], Tensor]) -> Tensor:
    losses = []
    for query in queries:
        target = torch.tensor(mllm.tokenizer(" " + query.target, add_special_tokens=False)["input_ids"])
        log_probs = plain_logits(query)[-1 - len(target) : -1].log_softmax(-1)
        losses.append(-log_probs.gather(1, target[:, None]).sum())
    return torch.stack(losses).sum()


def _parameters(hf: Blip2ForConditionalGeneration, names: list[str]) -> list[Tensor]:
    return [hf.get_parameter(name) for name in names]


def test_scoring_builds_no_graph(mllm: MLLM, mixture: list[Query]) -> None:
    mllm.mlp(5).up.module.weight.requires_grad_()
    below = mllm.below(mixture, 3)
    assert not any(scored.logits.requires_grad for scored in mllm.score(below))
    assert all(scored.logits.requires_grad for scored in mllm.logits(below))


def test_generating_needs_the_keys_below(mllm: MLLM, mixture: list[Query]) -> None:
    with pytest.raises(ValueError, match="for_generation"):
        mllm.generate(mllm.below(mixture, 2), max_new_tokens=2)


@pytest.mark.parametrize("layer", [-1, 7])
def test_impossible_layers(mllm: MLLM, mixture: list[Query], layer: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 6"):
        mllm.below(mixture, layer)


@pytest.mark.parametrize("for_generation", [False, True])
def test_joined_parts_are_as_the_whole(mllm: MLLM, mixture: list[Query], for_generation: bool) -> None:
    whole = mllm.below(mixture, 3, for_generation=for_generation)
    found, picked = joined([whole[2:4], whole[:2]]), whole.take([2, 3, 0, 1])
    assert (found.layer, found.queries, found.rows) == (3, picked.queries, picked.rows)
    assert all(torch.equal(*pair) for pair in zip(found.hidden, picked.hidden, strict=True))
    assert (found.keys_values is None) is not for_generation
    kept = zip(found.keys_values or (), picked.keys_values or (), strict=True)
    assert all(torch.equal(*pair) for pair in kept)


@pytest.mark.parametrize("for_generation", [False, True])
def test_what_will_be_kept_is_known_before(mllm: MLLM, mixture: list[Query], for_generation: bool) -> None:
    below = mllm.below(mixture, 3, for_generation=for_generation)
    known = sum(mllm.kept_bytes(row, 3, for_generation=for_generation) for row in mllm.rows(mixture))
    assert known == below.nbytes
