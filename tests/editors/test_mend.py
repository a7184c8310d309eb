"""MEND on the tiny random BLIP-2; see also test_mend_network."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from editors.base import Edit, TrainEdit
from editors.learning.gradients import gradients
from editors.learning.hypernetworks import edited
from editors.losses import locality_kl, target_nll
from editors.mend import MEND, MENDConfig, MENDNetwork, MENDPractice
from editors.patches.weights import LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.editors.conftest import Snapshot, deltas

LAYERS = "language_model.model.decoder.layers"


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def editor(**options: Any) -> MEND:
    chosen: dict[str, Any] = {"layers": (-3, -1), "rank": 8, "steps": 4, "batch_size": 2, "lr": 1e-4}
    return MEND(MENDConfig(**chosen | options))


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> MEND:
    found = editor(**options)
    found.fit(mllm, train[:2], train[2:], work=folder, advance=lambda _: None)
    return found


def practice(mllm: MLLM, train: Sequence[TrainEdit], **options: Any) -> tuple[MENDPractice, MENDNetwork]:
    """A network somewhere on its way, and its training."""
    made = editor(**options)
    net = made.make_network(mllm, edited(mllm, made.config.layers))
    found = made.make_learning(mllm, net, (train, train))
    assert isinstance(found, MENDPractice)
    # The statistics of the network need to have seen something.
    found.loss([0, 1], random.Random(0))
    return found, net


def test_it_edits_the_mlps_of_its_layers(mllm: MLLM) -> None:
    assert edited(mllm, (-1, 3)) == {
        f"{LAYERS}.{layer}.{name}.weight": shape
        for layer in (3, 5)
        for name, shape in {"fc1": (64, 32), "fc2": (32, 64)}.items()
    }
    with pytest.raises(UserError, match="no layer 6"):
        edited(mllm, (6,))


def test_new_networks_take_a_step_of_gradient_descent_on_the_model(mllm: MLLM, edits: list[Edit]) -> None:
    made = editor(edit_lr=0.01)
    net = made.make_network(mllm, edited(mllm, (-3, -1)))
    for transform in net.transforms.values():
        transform.normalize = nn.Identity()
    made._network = net
    patch = made.plan(mllm, edits[:1])
    assert patch.first_layer(mllm) == 3
    parameters = [mllm.model.get_parameter(name).requires_grad_(True) for name in patch.factors]
    found = torch.autograd.grad(target_nll(mllm.logits([edits[0].query])).sum(), parameters)
    for parameter, gradient, delta in zip(parameters, found, deltas(patch).values(), strict=True):
        parameter.requires_grad_(False)
        torch.testing.assert_close(delta, -0.01 * gradient, rtol=1e-4, atol=1e-6)
    with patch.applied(mllm) as model:
        (after,) = model.score([edits[0].query])
    (before,) = mllm.score([edits[0].query])
    assert after.log_prob > before.log_prob + 0.01


def test_many_edits_are_told_part_by_part(
    mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    below = mllm.below([one.query for one in edits], 3)
    whole = editor().told(mllm, below)
    monkeypatch.setattr("editors.learning.hypernetworks.CHUNK", 2)
    for one, other in zip(whole, editor().told(mllm, below), strict=True):
        for name, pair in one.gradient.items():
            torch.testing.assert_close(pair.deltas, other.gradient[name].deltas, rtol=1e-3, atol=1e-5)


def test_rates_of_zero_change_nothing(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    made = fitted(mllm, train, tmp_path)
    network = made._network
    assert isinstance(network, MENDNetwork)
    with torch.no_grad():
        network.rates.zero_()
    queries = [one.edit.query for one in train]
    plain = mllm.score(queries)
    with made.plan(mllm, [train[2].edit]).applied(mllm) as model:
        pairs = zip(plain, model.score(queries), strict=True)
        assert all(torch.equal(a.logits, b.logits) for a, b in pairs)


def test_the_loss_is_that_of_mmedit(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train, edit_lr=1e-2)
    net.eval()
    patches = learning.patches(learning._train)
    expected, kept = [], []
    for one, patch in zip(train, patches, strict=True):
        rephrases = [one.text_rephrase or one.edit.query, one.image_rephrase or one.edit.query]
        before = [mllm.score([query], positions="all") for query in (*one.text_locality, *one.image_locality)]
        detached = LowRankPatch(patch.factors)
        with detached.applied(mllm) as model:
            told = sum(float(target_nll(model.score([query]))) for query in rephrases)
            moved = [
                float(locality_kl(old, model.score([query], positions="all")))
                for old, query in zip(before, (*one.text_locality, *one.image_locality), strict=True)
            ]
        texts, images = moved[: len(one.text_locality)], moved[len(one.text_locality) :]
        kl = sum(texts) / max(1, len(texts)) + sum(images) / len(images)
        expected.append(0.1 * told + kl)
        kept.append(kl)
    # So large that it could not be left out, or taken at other positions, without being missed.
    assert sum(kept) > 0.05 * sum(expected)
    with torch.no_grad():
        found = learning.mean_loss(learning._train, None)
    assert float(found) == pytest.approx(sum(expected) / 3, rel=1e-4)
    assert learning.validate() == pytest.approx(sum(expected) / 3, rel=1e-4)


def test_a_step_draws_one_locality_query_of_each_sort(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train, edit_lr=1e-2)
    net.eval()
    lesson = learning._train[:1]
    with torch.no_grad():
        drawn = {round(float(learning.mean_loss(lesson, random.Random(seed))), 4) for seed in range(9)}
        whole = round(float(learning.mean_loss(lesson, None)), 4)
    # The first edit has two facts and one picture.
    assert len(drawn) == 2
    assert min(drawn) < whole < max(drawn)


def test_gradients_reach_all_that_is_learned_and_nothing_else(mllm: MLLM, train: list[TrainEdit]) -> None:
    before = Snapshot(mllm)
    learning, net = practice(mllm, train)
    learning.loss([0, 1, 2], random.Random(1)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        # Scales start by multiplying nothing, and the matrix before a zero one moves nothing.
        assert (parameter.grad.abs().max() > 0) == (not name.endswith(("scale", "down"))), name
    before.assert_unchanged(mllm)


def test_the_gradient_is_that_of_the_loss(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train, edit_lr=1e-3)
    net.eval()
    net.zero_grad()
    learning.mean_loss(learning._train, None).backward()
    assert net.rates.grad is not None
    with torch.no_grad():
        for place in range(len(net.rates)):
            sides = []
            for step in (1e-5, -2e-5):
                net.rates[place] += step
                sides.append(learning.validate())
            net.rates[place] += 1e-5
            slope = (sides[0] - sides[1]) / 2e-5
            assert float(net.rates.grad[place]) == pytest.approx(slope, rel=0.01)


def test_the_first_step_is_that_of_adam_at_both_rates(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train, lr=1e-3, rates_lr=1e-5)
    net.zero_grad()
    learning.loss([0, 1, 2], random.Random(1)).backward()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    learning.optimizer.step()
    for name, parameter in net.named_parameters():
        gradient, rate = parameter.grad, 1e-5 if name == "rates" else 1e-3
        assert gradient is not None
        clear = gradient.abs() > 1e-5
        expected = before[name] - rate * gradient.sign()
        torch.testing.assert_close(parameter[clear], expected[clear], rtol=0, atol=rate * 2e-3)


def test_only_layers_from_the_first_edited_one_on_are_run(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, _ = practice(mllm, train)
    layers, seen = mllm.counts.layers, mllm.counts.vision
    learning.loss([0, 1], random.Random(0))
    # Two rephrases and two locality queries of each edit, three layers each; nothing for gradients and base.
    assert mllm.counts.layers - layers == 8 * 3
    assert mllm.counts.vision == seen


def test_with_no_memory_it_learns_the_same(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    one = fitted(mllm, train, tmp_path / "kept").fitted()
    other = fitted(mllm, train, tmp_path / "not", keep_bytes=0).fitted()
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(tensor, other.tensors[name], rtol=1e-3, atol=1e-4)


def test_a_fit_that_was_killed_goes_on_as_if_undisturbed(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    options = {"steps": 6, "validate_every": 2}
    expected = fitted(mllm, train, tmp_path / "undisturbed", **options).fitted()
    steps = 0

    def advance(number: int) -> None:
        nonlocal steps
        steps += number
        if steps == 5:
            raise KeyboardInterrupt

    before, made = Snapshot(mllm), editor(**options)
    with pytest.raises(KeyboardInterrupt):
        made.fit(mllm, train[:2], train[2:], work=tmp_path / "killed", advance=advance)
    before.assert_unchanged(mllm)
    with pytest.raises(ValueError, match="fitted"):
        made.plan(mllm, [train[2].edit])
    found = fitted(mllm, train, tmp_path / "killed", **options).fitted()
    assert found.fields == expected.fields
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, found.tensors[name]), name


def test_training_makes_it_better(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    start = fitted(mllm, train, tmp_path / "short", steps=1, lr=1e-9, rates_lr=1e-9)
    end = fitted(mllm, train, tmp_path / "long", steps=40, lr=1e-3, validate_every=10)
    assert end._report.best < start._report.best - 0.1


def test_edits_planned_together_are_the_sum(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    made = fitted(mllm, train, tmp_path)
    alone = [deltas(made.plan(mllm, [one.edit])) for one in train]
    for name, delta in deltas(made.plan(mllm, [one.edit for one in train])).items():
        torch.testing.assert_close(delta, sum(one[name] for one in alone), rtol=1e-4, atol=1e-6)


def test_there_must_be_edits_to_validate_on(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 edits to learn from and 0 to validate on"):
        editor().fit(mllm, train, [], work=tmp_path, advance=lambda _: None)


def test_rows_left_out_add_nothing(mllm: MLLM, edits: list[Edit]) -> None:
    """What is planned does not depend on the padding that other edits bring."""
    names = list(edited(mllm, (-3, -1)))
    whole = gradients(mllm, [one.query for one in edits], names)
    for edit, one in zip(edits, whole, strict=True):
        (alone,) = gradients(mllm, [edit.query], names)
        for name in names:
            torch.testing.assert_close(one[name].deltas, alone[name].deltas, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(one[name].inputs, alone[name].inputs, rtol=1e-3, atol=1e-4)
