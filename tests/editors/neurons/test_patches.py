"""Patches on neurons, on the tiny random BLIP-2 in float64, against hooks and formulas of this file's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from editors.neurons.patches import AddedNeurons, ColumnPatch, Neurons, ScaledNeurons, look_into
from editors.patches.weights import Factors, WeightPatch
from editors.saving import load_patch, save_patch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

NAME = "language_model.model.decoder.layers.{}.{}"
FACTORS = [0.0, 2.0]


@pytest.fixture
def double(mllm: MLLM) -> MLLM:
    mllm.model.double()
    return mllm


def neurons(seed: int, number: int, *, biases: bool = True) -> Neurons:
    generator = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(number, 32, generator=generator, dtype=torch.float64) for _ in range(2))
    offset = torch.randn(number, generator=generator, dtype=torch.float64)
    return Neurons(0.3 * keys, 0.3 * values, offset if biases else None)


@contextmanager
def watched(mllm: MLLM, name: str) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Inputs and outputs of a module (positions, width), by a plain hook."""
    seen: list[tuple[Tensor, Tensor]] = []
    module = mllm.model.get_submodule(name)
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    yield seen
    handle.remove()


def answers(mllm: Any, queries: Sequence[Query]) -> list[Tensor]:
    return [one.logits for one in mllm.score(queries, positions="all")]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("biases", [True, False])
def test_the_output_changes_by_the_formula(double: MLLM, probes: list[Query], biases: bool) -> None:
    new = neurons(0, 5, biases=biases)
    name = NAME.format(4, "fc2")
    for query in probes:
        with watched(double, NAME.format(4, "fc1")) as inputs, watched(double, name) as before:
            double.score([query])
        with AddedNeurons(4, new).applied(double), watched(double, name) as after:
            # Watched by a hook that is set later, so it sees what the patch has made of the output.
            double.score([query])
        x = inputs[0][0]
        excited = x @ new.keys.mT + (new.biases if new.biases is not None else 0)
        expected = before[0][1] + excited.clamp(min=0) @ new.values
        torch.testing.assert_close(after[0][1], expected, rtol=0, atol=1e-12)
        assert not torch.equal(after[0][1], before[0][1])


def test_groups_of_neurons_add_up(double: MLLM, probes: list[Query]) -> None:
    one, other = neurons(0, 3), neurons(1, 4)
    with AddedNeurons(3, Neurons.joined([one, other])).applied(double):
        together = answers(double, probes)
    with AddedNeurons(3, one).applied(double) as outer, AddedNeurons(3, other).applied(outer):
        nested = answers(double, probes)
    for pair in zip(together, nested, strict=True):
        torch.testing.assert_close(*pair, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="biases"):
        Neurons.joined([one, neurons(1, 4, biases=False)])


def test_neurons_that_are_never_excited_leave_no_trace(double: MLLM, probes: list[Query]) -> None:
    plain = answers(double, probes)
    new = neurons(0, 5)
    assert new.biases is not None
    silent = Neurons(new.keys, new.values, new.biases - 1e3)
    empty = Neurons(new.keys, torch.zeros_like(new.values), new.biases)
    for patch in (AddedNeurons(4, silent), AddedNeurons(4, empty), AddedNeurons(4, neurons(0, 0))):
        with patch.applied(double):
            assert same(plain, answers(double, probes))
    with AddedNeurons(4, new).applied(double):
        assert not same(plain, answers(double, probes))


def test_merged_into_the_weights_they_do_the_same(double: MLLM, probes: list[Query]) -> None:
    new = neurons(0, 5)
    with AddedNeurons(4, new).applied(double):
        beside = answers(double, probes)
    up, down = double.mlp(4).up.module, double.mlp(4).down.module
    assert new.biases is not None
    up.weight = nn.Parameter(torch.cat([up.weight, new.keys]))
    up.bias = nn.Parameter(torch.cat([up.bias, new.biases]))
    down.weight = nn.Parameter(torch.cat([down.weight, new.values.mT], dim=1))
    for pair in zip(beside, answers(double, probes), strict=True):
        torch.testing.assert_close(*pair, rtol=0, atol=1e-6)


def test_layers_below_the_neurons_are_not_run_again(mllm: MLLM, probes: list[Query]) -> None:
    patch = AddedNeurons(4, neurons(0, 5))
    assert patch.first_layer(mllm) == 4
    assert AddedNeurons(4, neurons(0, 0)).first_layer(mllm) == mllm.n_layers
    with patch.applied(mllm) as model:
        full, said = model.score(probes), model.generate(probes, max_new_tokens=5)
        below = mllm.below(probes, 4, for_generation=True)
        reused = model.score(below, batch_size=1)
        assert model.generate(below, max_new_tokens=5) == said
    for one, other in zip(full, reused, strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-5)


def test_nothing_is_left_after_an_error_inside_a_layer(mllm: MLLM, probes: list[Query]) -> None:
    before, patch = Snapshot(mllm), AddedNeurons(4, neurons(0, 5))
    with patch.applied(mllm):
        whole = answers(mllm, probes)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with patch.applied(mllm):
        handle = mllm.mlp(4).down.module.register_forward_pre_hook(stop)
        with pytest.raises(KeyboardInterrupt):
            mllm.score(probes)
        handle.remove()
        assert same(whole, answers(mllm, probes))
    before.assert_unchanged(mllm)


def test_gradients_reach_neurons(mllm: MLLM, probes: list[Query]) -> None:
    new = neurons(0, 5)
    keys, values = (tensor.requires_grad_(True) for tensor in (new.keys, new.values))
    with AddedNeurons(4, new).applied(mllm):
        loss = torch.stack([one.log_prob for one in mllm.logits(probes)]).sum()
    assert all(gradient.any() for gradient in torch.autograd.grad(loss, [keys, values]))


def test_they_act_in_half_precision(folder: str, probes: list[Query]) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    plain = answers(mllm, probes)
    one = neurons(0, 5)
    single = Neurons(one.keys.float(), one.values.float())
    with AddedNeurons(4, single).applied(mllm):
        assert not same(plain, answers(mllm, probes))


@pytest.mark.parametrize("biases", [True, False])
def test_parameters_are_counted_and_saved(
    mllm: MLLM, probes: list[Query], tmp_path: Path, biases: bool
) -> None:
    patch = AddedNeurons(4, neurons(0, 5, biases=biases))
    assert patch.changed == 5 * 32 * 2 + (5 if biases else 0)
    save_patch(patch, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert loaded.changed == patch.changed
    with patch.applied(mllm):
        expected = answers(mllm, probes)
    with loaded.applied(mllm):
        assert same(expected, answers(mllm, probes))


@pytest.mark.parametrize("widths", [(31, 32), (32, 31)])
def test_neurons_of_another_model_are_refused(mllm: MLLM, widths: tuple[int, int]) -> None:
    keys, values = (torch.zeros(2, width) for width in widths)
    before = Snapshot(mllm)
    patch = AddedNeurons(4, Neurons(keys, values))
    with pytest.raises(UserError, match=r"layer 4 .* planned for"), patch.applied(mllm):
        pass
    before.assert_unchanged(mllm)


def test_what_goes_into_an_mlp_is_seen(double: MLLM, probes: list[Query]) -> None:
    found = look_into(double, double.below(probes, 2), 4)
    for query, inputs in zip(probes, found, strict=True):
        with watched(double, NAME.format(4, "fc1")) as seen:
            double.score([query])
        torch.testing.assert_close(inputs, seen[0][0], rtol=0, atol=1e-10)


# Neurons that are there


def scaled_by_hand(mllm: MLLM, query: Query, factor: float, numbers: list[int]) -> Tensor:
    """Target logits, with the activations changed at the input of the module that leads out of the MLP."""
    (row,) = mllm.below([query], 0).rows

    def scale(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        x = inputs[0].clone()
        x[row.prompt_length - 1 :, numbers] *= factor
        return (x,)

    handle = mllm.mlp(2).down.module.register_forward_pre_hook(scale)
    (scored,) = mllm.score([query], positions="all")
    handle.remove()
    return scored.logits


@pytest.mark.parametrize("factor", FACTORS)
def test_activations_are_scaled_where_answers_are_predicted(
    double: MLLM, probes: list[Query], factor: float
) -> None:
    numbers = [3, 8, 40, 41]
    patch = ScaledNeurons({NAME.format(2, "fc2"): torch.tensor(numbers)}, factor)
    assert patch.first_layer(double) == 2
    assert patch.changed == 0
    plain = answers(double, probes)
    with patch.applied(double):
        found = answers(double, probes)
        written = double.write(probes, max_new_tokens=1)
    for query, one, before, text in zip(probes, found, plain, written, strict=True):
        by_hand = scaled_by_hand(double, query, factor, numbers)
        torch.testing.assert_close(one, by_hand, rtol=0, atol=1e-5)
        assert not torch.equal(one, before)
        # A text begins with what is most likely in the scored pass.
        first = by_hand[double.below([query], 0).rows[0].prompt_length - 1].log_softmax(dim=-1).max()
        assert text.token_log_probs == () or abs(text.token_log_probs[0] - first) < 1e-5


@pytest.mark.parametrize("factor", FACTORS)
def test_activations_are_scaled_at_every_token_that_is_written(double: MLLM, factor: float) -> None:
    # All positions of a prompt of one token predict the answer, so scaled columns do the same.
    name, numbers = NAME.format(2, "fc2"), list(range(0, 64, 3))
    query = Query(None, "", "tree")
    delta = torch.zeros(32, 64, dtype=torch.float64)
    delta[:, numbers] = (factor - 1) * double.mlp(2).down.module.weight[:, numbers]
    with WeightPatch({f"{name}.weight": delta}).applied(double):
        (expected,) = double.write([query], max_new_tokens=12)
    with ScaledNeurons({name: torch.tensor(numbers)}, factor).applied(double):
        (written,) = double.write([query], max_new_tokens=12)
    (plain,) = double.write([query], max_new_tokens=12)
    assert written.text == expected.text != plain.text
    assert written.token_log_probs == pytest.approx(expected.token_log_probs, abs=1e-5)
    assert len(written.token_log_probs) > 3


def test_before_the_answer_nothing_is_scaled(double: MLLM, probes: list[Query]) -> None:
    patch = ScaledNeurons({NAME.format(2, "fc2"): torch.arange(64)}, 0.0)
    with patch.applied(double):
        scored = double.score(probes, positions="all")
    for one, before in zip(scored, answers(double, probes), strict=True):
        torch.testing.assert_close(one.logits[: one.first], before[: one.first], rtol=0, atol=1e-5)


@pytest.mark.parametrize("chosen", [{}, {NAME.format(2, "fc2"): torch.tensor([], dtype=torch.long)}])
def test_with_no_neurons_nothing_is_scaled(
    double: MLLM, probes: list[Query], chosen: dict[str, Tensor]
) -> None:
    plain = answers(double, probes)
    with ScaledNeurons(chosen, 0.0).applied(double):
        assert same(plain, answers(double, probes))


def test_scaling_is_saved(mllm: MLLM, probes: list[Query], tmp_path: Path) -> None:
    patch = ScaledNeurons({NAME.format(2, "fc2"): torch.arange(20)}, 2.0)
    save_patch(patch, tmp_path / "patch")
    with patch.applied(mllm):
        expected = answers(mllm, probes)
    with load_patch(tmp_path / "patch").applied(mllm):
        assert same(expected, answers(mllm, probes))


def test_columns_are_counted(mllm: MLLM, probes: list[Query], tmp_path: Path) -> None:
    name = NAME.format(2, "fc2.weight")
    left, right = torch.randn(32, 2), torch.zeros(2, 64)
    right[[0, 1], [7, 9]] = 1
    patch = ColumnPatch({name: Factors(left, right)})
    assert patch.changed == 64
    save_patch(patch, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert isinstance(loaded, ColumnPatch)
    with loaded.applied(mllm):
        expected = answers(mllm, probes)
    with WeightPatch({name: left @ right}).applied(mllm):
        assert same(expected, answers(mllm, probes))
