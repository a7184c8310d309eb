"""Integrated gradients and the neurons they choose, on the tiny random BLIP-2 in float64."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from editors.neurons.attribution import Rule, attributions, path
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot


@pytest.fixture
def double(mllm: MLLM) -> MLLM:
    mllm.model.double()
    return mllm


@pytest.fixture
def asked(probes: list[Query]) -> list[Query]:
    """With an image and without, of different lengths."""
    return [probes[0], probes[4], probes[1]]


def probability(mllm: MLLM, query: Query, layer: int, token: int, share: float) -> float:
    """Of a token of the target, with the activations scaled where it is predicted, by a plain hook."""
    (row,) = mllm.below([query], 0).rows

    def scale(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        x = inputs[0].clone()
        x[row.prompt_length - 1 + token] *= share
        return (x,)

    handle = mllm.mlp(layer).down.module.register_forward_pre_hook(scale)
    (scored,) = mllm.score([query])
    handle.remove()
    return float(scored.token_log_probs[token].exp())


def gained(mllm: MLLM, query: Query, layer: int, tokens: int) -> float:
    """What all activations of a layer together add to the probability of a token, as a mean."""
    number = min(tokens, len(mllm.score([query])[0].target_ids))
    changes = [
        probability(mllm, query, layer, token, 1.0) - probability(mllm, query, layer, token, 0.0)
        for token in range(number)
    ]
    return sum(changes) / number


def worst(mllm: MLLM, asked: Sequence[Query], steps: int, rule: Rule, tokens: int) -> float:
    scores = attributions(mllm, asked, path(steps, rule), tokens).sum(dim=2)
    return max(
        abs(float(scores[i, layer]) - gained(mllm, query, layer, tokens))
        for i, query in enumerate(asked)
        for layer in range(mllm.n_layers)
    )


def test_the_scores_of_a_layer_add_up_to_what_it_adds(double: MLLM, asked: list[Query]) -> None:
    few, many = (worst(double, asked[:1], steps, "right", 1) for steps in (20, 160))
    assert few < 1e-3
    # The error falls as the steps do.
    assert many < few / 6
    assert worst(double, asked[1:2], 20, "inclusive", 2) < 3e-3


def test_where_the_answer_is_linear_any_number_of_steps_will_do(double: MLLM, asked: list[Query]) -> None:
    # What the MLP puts out is made so small that the probability is linear in it.
    down = double.mlp(3).down.module
    down.weight.data *= 1e-6
    one, many = (attributions(double, asked, path(steps, "right"), 1)[:, 3] for steps in (1, 50))
    assert one.abs().max() > 0
    torch.testing.assert_close(one, many, rtol=1e-3, atol=float(one.abs().max()) * 1e-4)
    change = gained(double, asked[0], 3, 1)
    assert abs(float(one[0].sum()) - change) < 1e-7


def test_each_score_is_a_slope(double: MLLM, asked: list[Query]) -> None:
    """One step of the right rule is the activation times its gradient: by finite differences here."""
    query, layer, number = asked[0], 4, 7
    (row,) = double.below([query], 0).rows
    (scores,) = attributions(double, [query], path(1, "right"), 1)
    activations: list[Tensor] = []

    def nudged(by: float) -> float:
        def nudge(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            x = inputs[0].clone()
            activations.append(x[row.prompt_length - 1])
            x[row.prompt_length - 1, number] += by
            return (x,)

        handle = double.mlp(layer).down.module.register_forward_pre_hook(nudge)
        (scored,) = double.score([query])
        handle.remove()
        return float(scored.token_log_probs[0].exp())

    slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2
    active = int(activations[0].argmax())
    assert float(scores[layer, number]) == pytest.approx(float(activations[0][number]) * slope, abs=2e-4)
    number = active
    slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2
    expected = float(activations[0][active]) * slope
    assert abs(expected) > 1e-4
    assert float(scores[layer, active]) == pytest.approx(expected, rel=2e-2)


def test_queries_are_explained_alike_together_and_alone(mllm: MLLM, asked: list[Query]) -> None:
    before = Snapshot(mllm)
    shares = path(3, "right")
    together = attributions(mllm, asked, shares, 3)
    assert together.shape == (3, 6, 64)
    for query, scores in zip(asked, together, strict=True):
        torch.testing.assert_close(attributions(mllm, [query], shares, 3)[0], scores, rtol=1e-3, atol=1e-7)
    before.assert_unchanged(mllm)


def test_the_way_is_cut_as_told() -> None:
    torch.testing.assert_close(path(4, "right"), torch.tensor([0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(path(5, "inclusive"), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
