"""M-ORE and ScopeEdit, on the tiny random BLIP-2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors import load_editor
from editors.base import Edit, State, TrainEdit
from editors.growing import Made, grow
from editors.losses import target_nll
from editors.more import MORE, ScopeEdit, ScopeEditConfig, inverses_of
from editors.patches.growing import GrowingPatch
from editors.recursive.config import RecursiveConfig
from editors.recursive.memory import recalled
from editors.saving import kept_bytes
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot
from tests.editors.test_parity_of_neurons import redrawn

LAYERS = "language_model.model.decoder.layers"
FC1 = f"{LAYERS}.5.fc1.weight"
PARITY = Path(__file__).parent / "parity" / "scopeedit.json"


def more(**options: Any) -> MORE:
    """M-ORE that has learned nothing, in the language model's last layers."""
    given = {"projector": False, "rank": 16, "alpha": 32.0, "eta": 0.1} | options
    return ready(MORE(RecursiveConfig(**given)))


def scoped(**options: Any) -> ScopeEdit:
    given = {"projector": False, "rank": 16, "alpha": 32.0, "shared": 4, "shared_eta": 0.5} | options
    found = ScopeEdit(ScopeEditConfig(**given))
    ready(found)
    return found


def ready(editor: MORE) -> MORE:
    editor._keys = {}
    return editor


def logits(mllm: MLLM, edits: list[Edit]) -> list[Tensor]:
    return [one.logits for one in mllm.score([edit.query for edit in edits])]


def loss(mllm: MLLM, edit: Edit) -> float:
    return target_nll(mllm.score([edit.query])).item()


def weight_gradient(mllm: MLLM, name: str, query: Query) -> Tensor:
    parameter = mllm.model.get_parameter(name).requires_grad_(True)
    (found,) = torch.autograd.grad(target_nll(mllm.logits([query])).sum(), [parameter])
    parameter.requires_grad_(False)
    return found


def target_input(mllm: MLLM, name: str, query: Query) -> Tensor:
    """The mean of what goes into a module at the target's own positions."""
    found: list[Tensor] = []
    module = mllm.model.get_submodule(name.removesuffix(".weight"))
    handle = module.register_forward_hook(lambda _, inputs, __: found.append(inputs[0].flatten(0, -2)))
    (scored,) = mllm.score([query])
    handle.remove()
    return found[0][-len(scored.target_ids) :].mean(dim=0)


def test_steps_of_no_size_change_nothing(mllm: MLLM, edits: list[Edit]) -> None:
    plain = logits(mllm, edits)
    for editor in (more(eta=0.0, projector=True, projector_eta=0.0), scoped(eta=0.0, shared_eta=0.0)):
        with editor.plan(mllm, edits[:2]).applied(mllm):
            assert all(torch.equal(*pair) for pair in zip(plain, logits(mllm, edits), strict=True))


def test_the_first_step_goes_along_the_gradient_and_recalls_its_key(mllm: MLLM, edits: list[Edit]) -> None:
    patch = more(layers=[-1], steps=1, ridge=2.0).plan(mllm, edits[:1])
    pair, (inverse,) = patch.factors[FC1], inverses_of(patch, FC1)
    gradient = weight_gradient(mllm, FC1, edits[0].query)
    torch.testing.assert_close(pair.left, -0.1 * 2.0**2 * gradient @ pair.right.mT, rtol=1e-3, atol=1e-6)
    key = pair.right @ target_input(mllm, FC1, edits[0].query)
    torch.testing.assert_close(inverse, recalled(torch.eye(16), key, 2.0), rtol=0, atol=1e-5)


def test_a_second_step_keeps_off_the_first_ones_key(mllm: MLLM, edits: list[Edit]) -> None:
    editor = more(layers=[-1], steps=1, ridge=0.5)
    first = editor.plan(mllm, edits[:1])
    second = editor.extend(mllm, Made((edits[0],), first), edits[1:2])
    with first.applied(mllm):
        gradient = weight_gradient(mllm, FC1, edits[1].query)
    pair, (inverse,) = first.factors[FC1], inverses_of(first, FC1)
    expected = pair.left - 0.1 * 2.0**2 * gradient @ pair.right.mT @ inverse
    torch.testing.assert_close(second.factors[FC1].left, expected, rtol=1e-3, atol=1e-6)


def test_bases_stay_and_ranks_are_bounded(mllm: MLLM, edits: list[Edit]) -> None:
    before, editor = Snapshot(mllm), more(rank=4, groups=2)
    made = grow(editor, mllm, None, edits[:1])
    size = kept_bytes(made.patch)
    bases = {name: editor._bases[name].clone() for name in editor.edited(mllm)}
    for edit in (*edits[1:], *edits):
        made = grow(editor, mllm, made, [edit])
    assert isinstance(made.patch, GrowingPatch)
    for name, pair in made.patch.factors.items():
        assert torch.equal(pair.right, bases[name])
        assert int(torch.linalg.matrix_rank(pair.left.double() @ pair.right.double())) <= 4
    # Bytes are of the weights that moved, of which there are no more than six, and not of edits.
    assert kept_bytes(made.patch) <= size / 2 * len(bases) / 2
    before.assert_unchanged(mllm)


def test_only_the_groups_of_the_largest_gradients_move(mllm: MLLM, edits: list[Edit]) -> None:
    editor = more(groups=1, steps=1, layers=range(6))
    patch = editor.plan(mllm, edits[:1])
    norms = dict.fromkeys(range(6), 0.0)
    for name in editor.edited(mllm):
        gradient = weight_gradient(mllm, name, edits[0].query)
        norms[int(name.split(".")[4])] += float((gradient @ editor._bases[name].mT).norm())
    best = max(norms, key=lambda layer: norms[layer])
    assert list(patch.factors) == [f"{LAYERS}.{best}.fc1.weight", f"{LAYERS}.{best}.fc2.weight"]


def test_edits_take_and_move_the_projector_where_there_is_an_image(mllm: MLLM, edits: list[Edit]) -> None:
    editor = more(projector=True, groups=9, projector_eta=0.1)
    patch = editor.plan(mllm, edits[:1])
    assert "language_projection.weight" in patch.factors
    assert not any(name.startswith("qformer") for name in patch.factors)
    start = loss(mllm, edits[0])
    with patch.applied(mllm):
        assert loss(mllm, edits[0]) < start - 0.3
    text = editor.plan(mllm, [Edit("text", None, "who wrote the book?", "the cat")])
    assert len(text.factors) == 6
    assert text.first_layer(mllm) == 3


def test_without_images_what_is_shared_stays(mllm: MLLM) -> None:
    """The gate is shut, and ScopeEdit is M-ORE in its own ranks."""
    edits = [Edit(f"{number}", None, text, "the cat") for number, text in enumerate(("who?", "what boat?"))]
    one = scoped(locality=0).plan(mllm, edits)
    other = more(rank=12, alpha=24.0, locality=0).plan(mllm, edits)
    for name, pair in one.factors.items():
        assert not pair.left[:, 12:].any()
        assert torch.equal(inverses_of(one, name)[1], torch.eye(4))
        torch.testing.assert_close(pair.left[:, :12], other.factors[name].left, rtol=0, atol=1e-5)
        torch.testing.assert_close(inverses_of(one, name)[0], inverses_of(other, name)[0], rtol=0, atol=1e-5)


def test_images_open_the_gate_in_some_of_the_groups(mllm: MLLM, edits: list[Edit]) -> None:
    patch = scoped(steps=1, groups=2, sharing_groups=1).plan(mllm, edits[:1])
    written = {name.split(".")[4] for name, pair in patch.factors.items() if pair.left[:, 12:].any()}
    assert len({name.split(".")[4] for name in patch.factors}) == 2
    assert len(written) == 1


def train_edits(edits: list[Edit]) -> list[TrainEdit]:
    return [
        TrainEdit(
            edit,
            text_locality=(Query(None, f"who wrote the {number}?", "the cat"),),
            image_locality=(Query(edit.image, "what tree?", "red"),),
        )
        for number, edit in enumerate(edits)
    ]


def test_keys_of_train_questions_are_recalled_after_an_edit(
    mllm: MLLM, edits: list[Edit], tmp_path: Path
) -> None:
    editor = MORE(RecursiveConfig(layers=(-1,), projector=False, rank=16, alpha=32.0, known=1))
    editor.fit(mllm, train_edits(edits[1:2]), [], work=tmp_path, advance=lambda _: None)
    patch, without = (one.plan(mllm, edits[:1]) for one in (editor, more(layers=(-1,))))
    for name in patch.factors:
        (inverse,) = inverses_of(patch, name)
        expected = inverses_of(without, name)[0]
        for sort in ("text", "image"):
            (key,) = editor.fitted().tensors[f"{sort}:{name}"]
            expected = recalled(expected, key, 1.0)
        torch.testing.assert_close(inverse, expected, rtol=0, atol=1e-6)
        # Later edits alone are kept off, not the one that is made.
        assert torch.equal(patch.factors[name].left, without.factors[name].left)


def test_without_locality_nothing_is_learned(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    editor = load_editor("m-ore", {"locality": 0})
    assert isinstance(editor, MORE)
    assert editor.steps(train_edits(edits)) == 0
    editor.fit(mllm, train_edits(edits), [], work=tmp_path, advance=lambda _: None)
    assert editor.fitted().tensors == State().tensors
    with pytest.raises(ValueError, match="has to be fitted"):
        load_editor("m-ore").plan(mllm, edits)


def test_no_more_ranks_can_be_shared_than_there_are(mllm: MLLM, edits: list[Edit]) -> None:
    with pytest.raises(UserError, match="of 16 ranks 16 cannot be shared"):
        load_editor("scopeedit", {"rank": 16, "shared": 16})
    with pytest.raises(UserError, match="takes 32 inputs, which leave no rank besides 40 shared ones"):
        scoped(rank=64, shared=40).plan(mllm, edits[:1])


PUBLISHED: dict[str, dict[str, Any]] = {
    "m-ore": {"groups": 2, "ridge": 2.0},
    "scopeedit": {"groups": 2, "sharing_groups": 1, "ridge": 1.0, "shared_ridge": 1.0},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_edits_in_sequence_are_the_authors(name: str, mllm: MLLM, edits: list[Edit]) -> None:
    expected, editor = json.loads(PARITY.read_text("utf-8"))[name], more if name == "m-ore" else scoped
    patch = editor(**PUBLISHED[name]).plan(redrawn(mllm), edits)
    assert patch.factors.keys() == expected["weights"].keys()
    for weight, numbers in expected["weights"].items():
        ranks = [len(one) for one in inverses_of(patch, weight)]
        lefts = [float(one.norm()) for one in patch.factors[weight].left.split(ranks, dim=1)]
        assert lefts == pytest.approx(numbers["left"], rel=1e-4)
        norms, traces = zip(
            *((float(one.norm()), float(one.trace())) for one in inverses_of(patch, weight)), strict=True
        )
        assert norms == pytest.approx(numbers["inverse"], rel=1e-5)
        assert traces == pytest.approx(numbers["trace"], rel=1e-5)
