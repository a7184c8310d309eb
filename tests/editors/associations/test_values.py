"""The vector that makes a module's output answer an edit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from editors.associations.lookup import Contexts, make_contexts
from editors.associations.values import ValueConfig, Values, learn_values
from editors.base import Edit
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

LAYER = 3


@pytest.fixture
def contexts(mllm: MLLM, edits: list[Edit]) -> list[Contexts]:
    texts = ["a cat", "the small house"]
    return [make_contexts(mllm, edit, texts, lookup="subject", essence="what?") for edit in edits]


def learned(mllm: MLLM, contexts: list[Contexts], **options: Any) -> Values:
    module = mllm.mlp(LAYER).down.name
    return learn_values(mllm, contexts, LAYER, module, ValueConfig(**options))


def asked(mllm: MLLM, query: Query, delta: Tensor) -> Tensor:
    """log p of each token of the target, the vector added by hand in a run of this one query."""
    place = mllm.below([query], 0).rows[0].prompt_length - 1

    def add(_: torch.nn.Module, __: Any, output: Tensor) -> Tensor:
        # Positions lie flat, and there is but one row.
        changed = output.clone()
        changed.view(-1, output.shape[-1])[place] += delta
        return changed

    handle = mllm.mlp(LAYER).down.module.register_forward_hook(add)
    try:
        return mllm.logits([query])[0].target_logits.log_softmax(dim=-1)
    finally:
        handle.remove()


def loss_by_hand(mllm: MLLM, one: Contexts, start: Tensor, delta: Tensor, kl: float, decay: float) -> Tensor:
    told = [mllm.logits([query])[0] for query in one.rewriting]
    answers = [
        -asked(mllm, query, delta).gather(1, scored.target_ids[:, None]).mean()
        for query, scored in zip(one.rewriting, told, strict=True)
    ]
    assert one.essence is not None
    now, before = (asked(mllm, one.essence, added)[0] for added in (delta, torch.zeros_like(delta)))
    drift = (now.exp() * (now - before)).sum()
    length: Tensor = delta.norm() / start.norm() ** 2
    return torch.stack(answers).mean() + kl * drift + decay * length


def test_it_descends_the_loss_of_the_paper(mllm: MLLM, contexts: list[Contexts]) -> None:
    kl, decay = 20.0, 20.0
    found = learned(mllm, contexts, lr=1.0, steps=4, kl=kl, decay=decay, clamp=100.0)
    for number, one in enumerate(contexts):
        delta = torch.zeros_like(found.start[number], requires_grad=True)
        adam = torch.optim.Adam([delta], lr=1.0)
        for _ in range(3):
            adam.zero_grad()
            with torch.enable_grad():
                loss_by_hand(mllm, one, found.start[number], delta, kl, decay).backward()
            adam.step()
        torch.testing.assert_close(found.delta[number], delta.detach(), rtol=1e-3, atol=1e-5)


def test_the_start_is_what_comes_out_for_the_bare_prompt(mllm: MLLM, contexts: list[Contexts]) -> None:
    layer = learn_values(mllm, contexts, LAYER, mllm.layer_name(LAYER), ValueConfig(steps=1))
    for start, one in zip(layer.start, contexts, strict=True):
        below = mllm.below([one.rewriting[0]], LAYER + 1)
        torch.testing.assert_close(start, below.hidden[0][below.rows[0].prompt_length - 1])


def test_answers_become_likely_and_nothing_is_left_behind(mllm: MLLM, contexts: list[Contexts]) -> None:
    before = Snapshot(mllm)
    found = learned(mllm, contexts)
    before.assert_unchanged(mllm)
    for delta, one in zip(found.delta, contexts, strict=True):
        (plain,) = mllm.score([one.rewriting[0]])
        told = asked(mllm, one.rewriting[0], delta).gather(1, plain.target_ids[:, None]).sum()
        assert told > plain.log_prob + 2


def test_edits_are_learned_each_by_itself(mllm: MLLM, contexts: list[Contexts]) -> None:
    # With this threshold some stop before others, and must stay where they are.
    together = learned(mllm, contexts, stop_below=2.0, decay=0.0, clamp=100.0)
    for number, one in enumerate(contexts):
        alone = learned(mllm, [one], stop_below=2.0, decay=0.0, clamp=100.0)
        torch.testing.assert_close(together.delta[number], alone.delta[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"steps": 1}, {"stop_below": 1e9}])
def test_nothing_is_learned_without_a_step(
    mllm: MLLM, contexts: list[Contexts], options: dict[str, Any]
) -> None:
    assert not learned(mllm, contexts, **options).delta.any()


def test_the_vector_is_kept_short(mllm: MLLM, contexts: list[Contexts]) -> None:
    found = learned(mllm, contexts, clamp=0.25)
    lengths = found.delta.norm(dim=1) / found.start.norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((3,), 0.25))


def test_the_essence_is_kept_the_more_it_counts(mllm: MLLM, contexts: list[Contexts]) -> None:
    drifts = []
    for kl in (0.0, 100.0):
        found = learned(mllm, contexts[:1], kl=kl)
        essence = contexts[0].essence
        assert essence is not None
        now, before = (asked(mllm, essence, delta)[0] for delta in (found.delta[0], 0 * found.delta[0]))
        drifts.append(float((now.exp() * (now - before)).sum()))
    assert drifts[1] < drifts[0] / 10


def test_an_edit_without_essence_is_learned_too(mllm: MLLM) -> None:
    bare = make_contexts(mllm, Edit("one", None, "a", "red"), [], lookup="subject", essence="what?")
    assert learned(mllm, [bare]).delta.any()
