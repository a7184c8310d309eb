"""KE against its formulas: the change in float64, the rest on the tiny random BLIP-2."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from editors.base import Edit, TrainEdit
from editors.ke import KE, MARGINS, Head, KEConfig, KENetwork, KEPractice, Reader, change, size
from editors.learning.gradients import OuterProducts
from editors.learning.hypernetworks import Inner, edited
from editors.losses import locality_kl, smoothed_nll, target_nll
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

OUT, INTO, POSITIONS = 5, 3, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def products() -> OuterProducts:
    return OuterProducts(torch.randn(POSITIONS, INTO).double(), torch.randn(POSITIONS, OUT).double())


def dense(pair: Factors) -> Tensor:
    return pair.left @ pair.right


# The change


def test_the_change_masks_and_shifts_the_gradient() -> None:
    told = products()
    mask_in, shift_in, mask_out, shift_out = (torch.randn(n).double() for n in (INTO, INTO, OUT, OUT))
    gradient = told.deltas.mT @ told.inputs
    expected = gradient * torch.outer(mask_out, mask_in) + torch.outer(shift_out, shift_in)
    found = dense(change(told, mask_in, mask_out, shift_in, shift_out))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(
        dense(change(told, 0 * mask_in, mask_out, 0 * shift_in, shift_out)), torch.zeros(OUT, INTO).double()
    )
    nothing = OuterProducts(told.inputs[:0], told.deltas[:0])
    assert torch.linalg.matrix_rank(dense(change(nothing, mask_in, mask_out, shift_in, shift_out))) == 1


def set_head(head: Head, **parts: float | Tensor) -> None:
    """Let the head give these, whatever it reads."""
    named = {"mask_in": INTO, "mask_out": OUT, "shift_in": INTO, "shift_out": OUT, "gate": 1}
    values = [torch.as_tensor(parts.get(name, 0.0)).expand(n) for name, n in named.items()]
    assert isinstance(head.last.bias, Tensor)
    with torch.no_grad():
        for parameter in head.last.parametrizations.parameters():
            parameter.zero_()
        # A matrix of any direction and no length.
        head.last.parametrizations.weight.original1.fill_(1.0)
        head.last.bias.copy_(torch.cat(values))


def test_a_mask_without_preference_scales_the_gradient() -> None:
    head, told = Head(OUT, INTO).double(), products()
    set_head(head, mask_in=3.0, mask_out=7.0, shift_out=torch.randn(OUT), gate=0.4)
    (vectors,) = zip(*head(torch.randn(1, 1024).double(), 2.0), strict=True)
    gradient = told.deltas.mT @ told.inputs
    strength = 2.0 * torch.tensor(0.4).double().sigmoid()
    expected = strength * (3.0 / OUT) * gradient
    torch.testing.assert_close(dense(change(told, *vectors)), expected, rtol=0, atol=1e-8)


def test_rows_are_weighed_by_a_softmax_and_a_closed_gate_lets_nothing_through() -> None:
    head, told = Head(OUT, INTO).double(), products()
    mask_out, shift_out = torch.randn(OUT), torch.randn(OUT)
    set_head(head, mask_in=1.0, mask_out=mask_out, shift_in=2.0, shift_out=shift_out)
    ((_, masked, shift_in, shifted),) = zip(*head(torch.randn(1, 1024).double(), 1.0), strict=True)
    torch.testing.assert_close(masked, 0.5 * mask_out.double().softmax(dim=0), rtol=0, atol=1e-7)
    torch.testing.assert_close(shifted, 0.5 * shift_out.double().softmax(dim=0), rtol=0, atol=1e-7)
    assert shift_in.tolist() == [2.0] * INTO
    set_head(head, mask_in=1.0, shift_in=1.0, gate=-1e9)
    (vectors,) = zip(*head(torch.randn(1, 1024).double(), 1.0), strict=True)
    assert not dense(change(told, *vectors)).any()


def test_a_head_keeps_to_its_formula() -> None:
    head, read = Head(OUT, INTO).double(), torch.randn(2, 1024).double()
    layers = []
    for linear in (head.hidden, head.last):
        # A length for each row and a direction.
        length, direction = list(linear.parametrizations.parameters())
        with torch.no_grad():
            length.mul_(torch.rand_like(length) + 0.5)
        layers.append((length * direction / direction.norm(dim=1, keepdim=True), linear.bias))
    (one, bias), (two, other) = layers
    for found, text in zip(zip(*head(read, 3.0), strict=True), read, strict=True):
        values = two @ (one @ text + bias).tanh() + other
        mask_in, mask_out, shift_in, shift_out, gate = values.split([INTO, OUT, INTO, OUT, 1])
        strength = 3.0 * gate.sigmoid()
        expected = (mask_in, strength * mask_out.softmax(0), shift_in, strength * shift_out.softmax(0))
        for vector, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(vector, wanted, rtol=0, atol=1e-10)


def test_the_size_of_a_change_is_told_without_making_it() -> None:
    pairs = {f"{n}": Factors(torch.randn(OUT, n).double(), torch.randn(n, INTO).double()) for n in (1, 6)}
    expected = [dense(pair).square().mean().sqrt() for pair in pairs.values()]
    torch.testing.assert_close(size(LowRankPatch(pairs)), sum(expected) / 2, rtol=0, atol=1e-12)
    still = Factors(torch.zeros(OUT, 2, requires_grad=True), torch.randn(2, INTO))
    size(LowRankPatch({"still": still})).backward()
    assert still.left.grad is not None
    assert still.left.grad.isfinite().all()


# Reading


def test_texts_are_read_apart_and_in_both_directions() -> None:
    words = torch.randn(20, 6)
    reader = Reader(words)
    assert torch.equal(reader.embed.weight, words)
    texts = [(1, 2, 3, 4, 5), (7,), (1, 2, 3, 4, 6), (8, 2, 3, 4, 5)]
    together = reader(texts)
    assert together.shape == (4, 1024)
    assert together.abs().max() < 1
    for text, read in zip(texts, together, strict=True):
        torch.testing.assert_close(reader([text])[0], read, rtol=0, atol=1e-6)
    differ = [(together[0] - other).abs().max() > 1e-4 for other in together[1:]]
    assert all(differ)


def test_words_of_a_large_vocabulary_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    words = torch.randn(20, 6)
    kept = len(Reader(words).state_dict())
    monkeypatch.setattr("editors.ke.TRAINED_WORDS", 19)
    reader = Reader(words)
    assert reader.embed.weight.data_ptr() == words.data_ptr()
    assert len(reader.state_dict()) == kept - 1
    assert not any(parameter.shape == words.shape for parameter in reader.parameters())
    assert reader([(1, 2)]).requires_grad


def test_the_reader_keeps_to_its_formula() -> None:
    reader, text = Reader(torch.randn(20, 6)).double(), torch.tensor([3, 1, 4, 1])
    ends = []
    for suffix, order in (("", text), ("_reverse", text.flip(0))):
        one_way = nn.LSTM(6, 128, batch_first=True).double()
        parts = {name: f"{name}{suffix}" for name, _ in one_way.named_parameters()}
        one_way.load_state_dict({name: reader.lstm.get_parameter(own) for name, own in parts.items()})
        ends.append(one_way(reader.embed.weight[order][None])[1][0][0, 0])
    expected = (reader.linear.weight @ torch.cat(ends) + reader.linear.bias).tanh()
    torch.testing.assert_close(reader([text.tolist()])[0], expected, rtol=0, atol=1e-10)


# On the model


@pytest.fixture
def train(edits: list[Edit], pictures: list[Any]) -> list[TrainEdit]:
    fact = Query(None, "who wrote the book?", "the cat")
    kept = [(Query(pictures[i], "a photo of", "a boat"),) for i in range(3)]
    asked = [replace(one.query, prompt=f"{one.prompt} a") for one in edits]
    return [
        TrainEdit(edits[0], asked[0], replace(edits[0].query, image=pictures[2]), (fact,), kept[1]),
        TrainEdit(edits[1], asked[1], None, (fact,), kept[2]),
        TrainEdit(edits[2], asked[2], None, (), kept[0]),
    ]


def editor(**options: Any) -> KE:
    chosen: dict[str, Any] = {"layers": (-3, -1), "steps": 4, "batch_size": 2, "warmup": 0, "text_tokens": 48}
    return KE(KEConfig(**chosen | options))


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> KE:
    found = editor(**options)
    found.fit(mllm, train[:2], train[2:], work=folder, advance=lambda _: None)
    return found


def practice(mllm: MLLM, train: Sequence[TrainEdit], **options: Any) -> tuple[KEPractice, KENetwork]:
    made = editor(**options)
    net = made.make_network(mllm, edited(mllm, made.config.layers))
    found = made.make_learning(mllm, net, (train, train))
    assert isinstance(found, KEPractice)
    return found, net


def test_the_network_is_told_prediction_target_and_prompt(
    mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[Query], int]] = []

    def generate(queries: Sequence[Query], *, max_new_tokens: int) -> list[str]:
        asked.append((list(queries), max_new_tokens))
        return ["the cat", "a boat", "two"]

    monkeypatch.setattr(mllm, "generate", generate)
    below = mllm.below([edit.query for edit in edits], 3)
    texts = [mllm.tokenizer.decode(list(one.condition)) for one in editor().told(mllm, below)]
    assert asked == [([edit.query for edit in edits], 24)]
    assert texts[0] == "the cat >> two boats || Question: what color is the cat? Answer:"
    assert texts[1] == "a boat >> a red tree || a photo of"
    assert [len(one.condition) for one in editor(text_tokens=5).told(mllm, below)] == [5, 5, 5]


def test_a_new_network_starts_with_the_words_of_the_model(mllm: MLLM, train: list[TrainEdit]) -> None:
    before = Snapshot(mllm)
    learning, net = practice(mllm, train)
    assert torch.equal(net.reader.embed.weight, mllm.embed_tokens.weight)
    learning.loss([0, 1], random.Random(0)).backward()
    learning.optimizer.step()
    assert not torch.equal(net.reader.embed.weight, mllm.embed_tokens.weight)
    before.assert_unchanged(mllm)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("penalty", "rephrases"), [("kl", True), ("l2", True), ("l2", False)])
def test_the_loss_is_likelihood_under_a_penalty(
    mllm: MLLM, train: list[TrainEdit], penalty: str, rephrases: bool
) -> None:
    learning, net = practice(mllm, train, penalty=penalty, rephrases=rephrases, scale=50.0)
    with torch.no_grad():
        net.multiplier.fill_(0.7)
        patches = learning.patches(learning._train)
        found = learning.mean_loss(learning._train, None)
    made, held, unlikely, moved = [], [], [], []
    for one, patch in zip(train, patches, strict=True):
        views = [one.edit.query, one.text_rephrase or one.edit.query, one.image_rephrase or one.edit.query]
        views = views if rephrases else views[:1]
        kept = [*one.text_locality, *one.image_locality]
        before = [mllm.score([query], positions="all") for query in kept]
        with patch.applied(mllm) as model:
            scored = model.score(views)
            after = [model.score([query], positions="all") for query in kept]
        made.append(smoothed_nll(scored, 0.1).mean())
        unlikely.append(target_nll(scored).mean())
        moved.append(torch.stack([locality_kl(*pair) for pair in zip(before, after, strict=True)]).sum())
        held.append(moved[-1] if penalty == "kl" else size(patch))
    expected = torch.stack(made).mean() + 0.7 * (torch.stack(held).mean() - MARGINS[penalty][0])
    assert float(found) == pytest.approx(float(expected), rel=1e-4)
    with torch.no_grad():
        score = torch.stack(unlikely).mean() + torch.stack(moved).mean()
        assert learning.validate() == pytest.approx(float(score), rel=1e-4)


def test_the_optimizer_is_the_published_one(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train, lr=2e-4, multiplier_lr=0.3)
    assert isinstance(learning.optimizer, torch.optim.RMSprop)
    rest, multiplier = learning.optimizer.param_groups
    assert (net.multiplier.item(), multiplier["params"]) == (1.0, [net.multiplier])
    assert len(rest["params"]) == len(list(net.parameters())) - 1
    assert [group["lr"] for group in (rest, multiplier)] == [2e-4, 0.3]
    assert [group["maximize"] for group in (rest, multiplier)] == [False, True]
    assert all(group["centered"] and not group["weight_decay"] for group in (rest, multiplier))


def test_the_multiplier_climbs_with_the_penalty_and_is_never_negative(
    mllm: MLLM, train: list[TrainEdit]
) -> None:
    for margin, climbs in ((-1.0, True), (1e6, False)):
        learning, net = practice(mllm, train)
        net.margin.fill_(margin)
        seen = [net.multiplier.item()]
        for _ in range(6):
            learning.optimizer.zero_grad()
            learning.loss([0, 1], random.Random(0)).backward()
            learning.optimizer.step()
            learning.stepped()
            seen.append(net.multiplier.item())
        assert min(seen) >= 0
        assert seen[1] > 1 if climbs else seen[-1] == 0


def test_the_margin_shrinks_when_enough_edits_are_made(
    mllm: MLLM, train: list[TrainEdit], monkeypatch: pytest.MonkeyPatch
) -> None:
    learning, net = practice(mllm, train)
    with torch.no_grad():
        learning.validate()
        assert float(net.margin) == pytest.approx(1e-3)
        monkeypatch.setattr("editors.ke.ENOUGH", -1.0)
        margins = []
        for _ in range(30):
            learning.validate()
            margins.append(float(net.margin))
    assert margins[:2] == pytest.approx([8e-4, 6.4e-4])
    assert margins[-1] == pytest.approx(1e-5)


def test_training_makes_edits_and_is_repeatable(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 30, "lr": 1e-3, "scale": 20.0, "validate_every": 10}
    one, other = (fitted(mllm, train, tmp_path / name, **options) for name in "ab")
    for name, tensor in one.fitted().tensors.items():
        assert torch.equal(tensor, other.fitted().tensors[name]), name
    patch = one.plan(mllm, [train[0].edit])
    assert patch.first_layer(mllm) == 3
    (before,) = mllm.score([train[0].edit.query])
    with patch.applied(mllm) as model:
        (after,) = model.score([train[0].edit.query])
    assert after.log_prob > before.log_prob + 1.0


def test_edits_have_a_patch_each(mllm: MLLM, train: list[TrainEdit]) -> None:
    learning, net = practice(mllm, train)
    told = learning._inner.of([one.inner for one in learning._train])
    with torch.no_grad():
        for one, patch in zip(told, net(told), strict=True):
            (alone,) = net([one])
            for name, pair in patch.factors.items():
                torch.testing.assert_close(dense(pair), dense(alone.factors[name]), rtol=1e-4, atol=1e-7)
                assert pair.left.shape[1] == len(one.gradient[name]) + 1


def test_what_is_told_is_counted(mllm: MLLM, train: list[TrainEdit]) -> None:
    (one,) = editor().told(mllm, mllm.below([train[0].edit.query], 3))
    assert isinstance(one, Inner)
    assert one.nbytes == sum(
        4 * pair.inputs.numel() + 4 * pair.deltas.numel() for pair in one.gradient.values()
    )
