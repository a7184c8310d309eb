"""T-Patcher's losses by hand, and the training of one edit's neurons on the tiny random BLIP-2."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from editors.base import Edit
from editors.losses import smoothed_nll
from editors.neurons.patches import AddedNeurons, Neurons, look_into
from editors.neurons.patching import (
    Patching,
    PatchingConfig,
    activation_loss,
    find_mistakes,
    memory_loss,
    said,
    train,
)
from editors.neurons.remembered import Remembered
from mmedit_build.mllm import MLLM
from tests.editors.conftest import Snapshot


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_losses_of_one_memory() -> None:
    """p = 0 on the memory, 1 at the mistake."""
    own, remembered = float64(1), float64(0)[None]
    assert activation_loss(own, PatchingConfig()).item() == pytest.approx(math.exp(-1), abs=1e-12)
    for gamma, beta in ((3.0, -3.0), (0.0, 0.0)):
        config = PatchingConfig(gamma=gamma, beta=beta)
        expected = math.exp(0 - 1 + gamma) + math.exp(0 - beta)
        assert memory_loss(remembered, own, config).item() == pytest.approx(expected, abs=1e-12)
    assert math.exp(0 - 1 + 3) == pytest.approx(math.e**2)


def test_the_worst_count_among_all_copies() -> None:
    own = float64(1, 2, 4)
    # Of 6 entries, two copies of each neuron.
    config = PatchingConfig(top_activation=3, copies=2)
    expected = (2 * math.exp(-1) + math.exp(-2)) / 3
    assert activation_loss(own, config).item() == pytest.approx(expected, abs=1e-12)
    remembered = torch.stack([float64(0, 0, 0), float64(2, -1, 3), float64(-5, -5, -5)])
    config = PatchingConfig(gamma=0.5, beta=-0.5, top_memory=4, copies=2)
    nearer = (2 * math.exp(1.5) + 2 * math.exp(-0.5)) / 4
    louder = (2 * math.exp(3.5) + 2 * math.exp(2.5)) / 4
    assert memory_loss(remembered, own, config).item() == pytest.approx(nearer + louder, abs=1e-12)
    everything = PatchingConfig(gamma=0.0, beta=0.0, top_memory=10_000)
    mean = (remembered - own).exp().mean() + remembered.exp().mean()
    assert memory_loss(remembered, own, everything).item() == pytest.approx(mean.item(), abs=1e-12)


@pytest.fixture
def remembered() -> Remembered:
    generator = torch.Generator().manual_seed(0)
    return Remembered(*(0.5 * torch.randn(60, 32, generator=generator) for _ in range(2)))


def start(mllm: MLLM, edit: Edit, remembered: Remembered, limit: int = 5, **options: Any) -> Patching:
    below = mllm.below([edit.query], 5)
    (inputs,) = look_into(mllm, below, 5)
    torch.manual_seed(0)
    (mistake,) = find_mistakes(mllm, [below], [inputs], limit)
    return Patching(mllm, 5, PatchingConfig(**options), mistake, remembered)


def at_mistakes(mllm: MLLM, edit: Edit) -> tuple[Tensor, list[int]]:
    """The MLP's inputs where the target is predicted, by a plain hook, and which tokens are wrong."""
    seen: list[Tensor] = []
    handle = mllm.mlp(-1).up.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    (scored,) = mllm.score([edit.query])
    handle.remove()
    number = len(scored.target_ids)
    wrong = [i for i in range(number) if scored.argmax[i] != scored.target_ids[i]]
    return seen[0][-1 - number : -1], wrong


def test_each_wrong_token_gets_a_neuron_excited_by_one(
    mllm: MLLM, edits: list[Edit], remembered: Remembered
) -> None:
    mllm.model.double()
    for edit in edits:
        inputs, wrong = at_mistakes(mllm, edit)
        neurons = start(mllm, edit, remembered).neurons
        assert len(neurons) == len(wrong) > 0
        excited = neurons.before_activation(inputs[wrong]).diagonal()
        torch.testing.assert_close(excited, torch.ones_like(excited), rtol=0, atol=1e-12)
        assert neurons.biases is not None
        assert not neurons.biases.any()
        torch.testing.assert_close(neurons.keys, inputs[wrong] / inputs[wrong].norm(dim=1)[:, None] ** 2)


def test_values_start_amplified(mllm: MLLM, edits: list[Edit], remembered: Remembered) -> None:
    one, ten = (start(mllm, edits[0], remembered, amplify=amplify).neurons for amplify in (1.0, 10.0))
    torch.testing.assert_close(10 * one.values, ten.values)
    assert 0.7 < one.values.std().item() < 1.3


def test_an_edit_has_no_more_neurons_than_it_may(
    mllm: MLLM, edits: list[Edit], remembered: Remembered
) -> None:
    _, wrong = at_mistakes(mllm, edits[1])
    assert len(wrong) > 2
    few, all_of_them = (start(mllm, edits[1], remembered, limit).neurons for limit in (2, 99))
    assert len(all_of_them) == len(wrong)
    torch.testing.assert_close(few.keys, all_of_them.keys[:2])


def loss(mllm: MLLM, patching: Patching, remembered: Remembered) -> float:
    made = smoothed_nll(said(mllm, 5, [patching]), PatchingConfig().smoothing).sum()
    return (made + patching.memory(remembered.train)).item()


def trained(mllm: MLLM, edit: Edit, remembered: Remembered, **options: Any) -> Neurons:
    (found,) = train(mllm, 5, PatchingConfig(**options), [start(mllm, edit, remembered, **options)])
    return found


def test_training_makes_the_edit_and_silences_the_memory(
    mllm: MLLM, edits: list[Edit], remembered: Remembered
) -> None:
    before = Snapshot(mllm)
    options: dict[str, Any] = {"steps": 400, "memory_weight": 0.1}
    patching = start(mllm, edits[0], remembered, **options)
    inputs, wrong = at_mistakes(mllm, edits[0])
    untrained = loss(mllm, patching, remembered)
    (trained,) = train(mllm, 5, PatchingConfig(**options), [patching])
    before.assert_unchanged(mllm)
    assert loss(mllm, patching, remembered) < untrained / 2
    own = trained.before_activation(inputs[wrong]).diagonal()
    # At their mistakes the neurons are more excited than at anything that is remembered.
    assert own.min() > 0.5
    assert (own > trained.before_activation(remembered.train)).all()
    with AddedNeurons(5, trained).applied(mllm):
        (scored,) = mllm.score([edits[0].query])
    assert torch.equal(scored.argmax, scored.target_ids)
    assert not trained.keys.requires_grad
    assert not trained.values.requires_grad


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    rates: list[float] = []
    whole = torch.optim.Adam.step

    def step(self: torch.optim.Adam, *args: Any) -> None:
        rates.append(self.param_groups[0]["lr"])
        whole(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    return rates


def test_it_stops_when_the_edit_is_made_and_the_memory_no_quieter(
    mllm: MLLM, edits: list[Edit], remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = steps_taken(monkeypatch)
    looks = iter([(False, 1.0), (True, 3.0), (True, 2.0), (True, 1.9995), (True, 0.0)])
    monkeypatch.setattr(Patching, "_look", lambda *_: next(looks))
    trained(mllm, edits[0], remembered, steps=100, validate_every=4, validate_from=8)
    # Looks at 4, 8, 12 and 16 steps; the last is better by less than counts.
    assert len(rates) == 16
    rates.clear()
    looks = iter([(True, 1.0)] * 99)
    trained(mllm, edits[0], remembered, steps=30, validate_every=4, validate_from=20)
    assert len(rates) == 24


def test_the_rate_is_halved_when_the_loss_no_longer_falls(
    mllm: MLLM, edits: list[Edit], remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = steps_taken(monkeypatch)
    monkeypatch.setattr("editors.neurons.patching.smoothed_nll", lambda *_: torch.ones(1, requires_grad=True))
    trained(mllm, edits[0], remembered, steps=8, validate_every=2, validate_from=99)
    # One look without a lower loss is borne with.
    assert rates == [1e-2] * 6 + [5e-3] * 2


def test_gradients_are_clipped(
    mllm: MLLM, edits: list[Edit], remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    clip = nn.utils.clip_grad_norm_

    def watched(parameters: Any, limit: float) -> Tensor:
        limits.append(limit)
        return clip(parameters, limit)

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", watched)
    trained(mllm, edits[0], remembered, steps=2, clip=0.5)
    assert limits == [0.5, 0.5]
