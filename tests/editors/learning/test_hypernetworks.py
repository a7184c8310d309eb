"""KE and MEND on what images go through: planned, learned, and judged, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from torch import nn

from editors import editor_class, load_editor, parts_of
from editors.base import Edit, TrainEdit
from editors.learning.hypernetworks import EditedPart, HypernetworkEditor
from editors.losses import locality_kl, target_nll
from editors.mend import MEND, MENDNetwork, MENDPractice
from editors.patches.weights import LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

PARTS: tuple[EditedPart, ...] = ("connector", "vision")
RATES = {"ke": 1e-3, "mend": 3e-3}
"""Learning rates at which a few steps suffice."""
FACT = Query(None, "who wrote the book?", "the cat")


@pytest.fixture
def train(edits: list[Edit], pictures: list[PIL.Image.Image]) -> list[TrainEdit]:
    """Two of them on the same image; each asks to keep what is said about other images, and a fact."""
    wishes = [edits[0], replace(edits[1], image=edits[0].image), edits[2]]
    return [
        TrainEdit(
            one,
            text_rephrase=replace(one.query, prompt=f"{one.prompt} a"),
            image_rephrase=replace(one.query, image=pictures[(number + 1) % 3]),
            text_locality=(FACT,),
            image_locality=(Query(pictures[(number + 1) % 3], "a photo of", "a boat"),),
        )
        for number, one in enumerate(wishes)
    ]


def make(name: str, part: EditedPart, **options: Any) -> HypernetworkEditor:
    chosen: dict[str, Any] = {"steps": 4, "batch_size": 2, "part": part}
    chosen |= {"rank": 8} if name == "mend" else {"warmup": 0}
    editor = load_editor(name, chosen | options)
    assert isinstance(editor, HypernetworkEditor)
    return editor


def fitted(
    name: str, part: EditedPart, mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any
) -> HypernetworkEditor:
    editor = make(name, part, **options)
    # Judged by the edits it learns from: from three of a random model nothing can be learned for others.
    editor.fit(mllm, train, train, work=folder, advance=lambda _: None)
    return editor


def scores(model: Any, queries: Sequence[Query]) -> list[float]:
    return [float(one.log_prob) for one in model.score(queries)]


@pytest.mark.parametrize("part", PARTS)
def test_without_normalization_a_new_mend_takes_a_step_of_gradient_descent(
    folder: str, edits: list[Edit], part: EditedPart
) -> None:
    mllm = MLLM.load(folder, device="cpu")
    mllm.model.double()
    editor = make("mend", part, edit_lr=0.01)
    network = editor.make_network(mllm, editor.edited(mllm)).double()
    assert isinstance(network, MENDNetwork)
    for transform in network.transforms.values():
        transform.normalize = nn.Identity()
    editor._network = network
    before = Snapshot(mllm)
    patch = editor.plan(mllm, edits[:1])
    before.assert_unchanged(mllm)
    assert patch.first_layer(mllm) is None
    parameters = [mllm.model.get_parameter(name).requires_grad_(True) for name in patch.factors]
    with mllm.fresh_features():
        loss = target_nll(mllm.logits([edits[0].query])).sum()
        gradients = torch.autograd.grad(loss, parameters)
    for pair, gradient in zip(patch.factors.values(), gradients, strict=True):
        torch.testing.assert_close(pair.left @ pair.right, -0.01 * gradient, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["ke", "mend"])
def test_facts_without_image_stay_to_the_last_bit_and_edits_take(
    name: str, part: EditedPart, mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    before = Snapshot(mllm)
    editor = fitted(name, part, mllm, train, tmp_path, steps=40, validate_every=10, lr=RATES[name])
    patch = editor.plan(mllm, [train[0].edit])
    before.assert_unchanged(mllm)
    (fact,) = mllm.score([FACT], positions="all")
    with patch.applied(mllm) as model:
        (after,) = model.score([FACT], positions="all")
        (edited,) = scores(model, [train[0].edit.query])
    assert torch.equal(fact.logits, after.logits)
    assert edited > scores(mllm, [train[0].edit.query])[0] + 0.05


@pytest.mark.parametrize("part", PARTS)
def test_the_loss_is_that_of_patches_applied_one_by_one(
    mllm: MLLM, train: list[TrainEdit], part: EditedPart
) -> None:
    editor = make("mend", part, edit_lr=3e-2)
    assert isinstance(editor, MEND)
    network = editor.make_network(mllm, editor.edited(mllm))
    learning = editor.make_learning(mllm, network, (train, train))
    assert isinstance(learning, MENDPractice)
    # The statistics of the network need to have seen something.
    learning.patches(learning._train)
    network.eval()
    expected = []
    for one, patch in zip(train, learning.patches(learning._train), strict=True):
        rephrases = [query for query in (one.text_rephrase, one.image_rephrase) if query is not None]
        old = mllm.score(one.image_locality, positions="all")
        with LowRankPatch(patch.factors).applied(mllm) as model:
            told = sum(float(target_nll(model.score([query]))) for query in rephrases)
            kl = float(locality_kl(old, model.score(one.image_locality, positions="all")))
        assert kl > 1e-3
        expected.append(0.1 * told + kl)
    assert learning.validate() == pytest.approx(sum(expected) / 3, rel=1e-3)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["ke", "mend"])
def test_training_makes_it_better(
    name: str, part: EditedPart, mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    still = {"rates_lr": 1e-9} if name == "mend" else {}
    start = fitted(name, part, mllm, train, tmp_path / "short", steps=1, lr=1e-9, **still)
    end = fitted(name, part, mllm, train, tmp_path / "long", steps=40, lr=RATES[name], validate_every=10)
    assert end._report.best < start._report.best - 0.03


def test_what_is_learned_does_not_depend_on_what_is_kept(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    one = fitted("mend", "connector", mllm, train, tmp_path / "kept").fitted()
    other = fitted("mend", "connector", mllm, train, tmp_path / "not", keep_bytes=0).fitted()
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(tensor, other.tensors[name], rtol=1e-3, atol=1e-4)


def test_edits_planned_together_are_the_sum(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    editor = fitted("mend", "vision", mllm, train, tmp_path)
    alone = [editor.plan(mllm, [one.edit]) for one in train]
    together = editor.plan(mllm, [one.edit for one in train])
    for name, pair in together.factors.items():
        whole = sum(one.factors[name].left @ one.factors[name].right for one in alone)
        torch.testing.assert_close(pair.left @ pair.right, whole, rtol=1e-4, atol=1e-6)


def test_methods_say_how_each_part_is_named(mllm: MLLM) -> None:
    parts = {
        name: parts_of(editor_class(name)) for name in ("mend", "ft", "ft-l", "ft-vision", "rome", "serac")
    }
    assert parts["mend"] == {"language": "language", "connector": "connector", "vision": "vision"}
    assert parts["ft-l"] == {"vision": "vision", "connector": "connector", "language": "mlp.-1"}
    assert parts["rome"] == parts["ft-vision"] == parts["serac"] == {}
    for part in parts["ft"].values():
        assert mllm.part(part)
    with pytest.raises(UserError, match="Option 'part' of editor 'mend' cannot be 'conector'"):
        load_editor("mend", {"part": "conector"})
