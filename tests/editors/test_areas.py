"""What patches touch, told in words; and for every editor that its patches touch what is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from editors import EDITORS, editor_class
from editors.areas import Area, joined
from editors.base import Patch, TrainEdit
from editors.families import METHOD_FAMILIES, MethodFamily
from editors.neurons.patches import AddedNeurons, Neurons, ScaledNeurons
from editors.patches.overlays import PromptPatch
from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from mmedit_build.mllm import MLLM
from tests.editors.contract import Case, fitted, of
from tests.editors.test_contract import CASES, TRAIN


def weights(mllm: MLLM, *parts: str) -> WeightPatch:
    """A patch of all parameters of some parts."""
    return WeightPatch(
        {name: torch.zeros_like(one) for part in parts for name, one in mllm.part(part).items()}
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("mlp.0",), {"MLP": (0,)}),
        (("mlp.0", "mlp.1"), {"MLP": (0, 1)}),
        (("layer.1",), {"": (1,)}),
        (("*.layers.1.fc1.*",), {"first matrix of the MLP": (1,)}),
        (("*.layers.1.fc2.weight",), {"second matrix of the MLP": (1,)}),
        (("language_model.*.layers.0.self_attn.*",), {"weights": (0,)}),
        (("vision",), {"vision tower": ()}),
        (("vision_model.embeddings.*",), {"vision tower": ()}),
        (("connector",), {"connector": ()}),
        (("qformer.*",), {"Q-Former": ()}),
        (("language_projection.*",), {"connector": ()}),
        (("language",), {"language model": ()}),
        (("qformer.*", "mlp.1"), {"MLP": (1,), "Q-Former": ()}),
    ],
)
def test_parameters_are_told_by_where_they_lie(
    mllm: MLLM, parts: tuple[str, ...], expected: dict[str, tuple[int, ...]]
) -> None:
    assert weights(mllm, *parts).touched(mllm) == expected


def test_other_patches_are_told_by_what_they_do(mllm: MLLM) -> None:
    down = mllm.mlp(1).down
    out, into = down.module.weight.shape
    low = LowRankPatch({f"{down.name}.weight": Factors(torch.zeros(out, 1), torch.zeros(1, into))})
    added = AddedNeurons(-1, Neurons(torch.zeros(1, out), torch.zeros(1, out)))
    assert low.touched(mllm) == {"second matrix of the MLP": (1,)}
    assert added.touched(mllm) == {"beside the MLP": (mllm.n_layers - 1,)}
    scaled = ScaledNeurons({down.name: torch.tensor([0])}, 0.0)
    assert scaled.touched(mllm) == {"neurons of the MLP": (1,)}
    assert PromptPatch(("Say red.",)).touched(mllm) == {"the prompt": ()}
    assert [patch.preserves for patch in (low, added, PromptPatch(()))] == [False, True, True]


def test_areas_of_several_patches_are_joined() -> None:
    parts: list[Area] = [{"MLP": (2,)}, {"MLP": (1, 2), "the prompt": ()}, {}]
    assert joined(parts) == {"MLP": (1, 2), "the prompt": ()}


def test_every_family_has_a_method_and_every_method_a_family() -> None:
    assert (
        {editor_class(name).family for name in EDITORS} == set(METHOD_FAMILIES) == set(get_args(MethodFamily))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_told_of_an_editor_is_so(
    case: Case, miniature: MLLM, world: list[TrainEdit], tmp_path: Path
) -> None:
    editor = fitted(case, miniature, world[:TRAIN], world[TRAIN:12], tmp_path)
    patch = editor.plan(miniature, [world[12].edit])
    before = {name: one.detach().clone() for name, one in miniature.model.named_parameters()}
    moved = moved_by(patch, miniature, before, world[12])
    assert patch.preserves is (not moved)
    told = patch.touched(miniature)
    assert told
    own = told_parameters(miniature, told)
    assert moved <= own, "a parameter moved outside of the area that is told"
    if moved:
        layers = {layer for of_layers in told.values() for layer in of_layers}
        # What lies before the layers, such as a connector, is in none.
        assert layers == {miniature.first_layer([name]) for name in moved} - {None} or not layers


def moved_by(patch: Patch, mllm: MLLM, before: dict[str, Tensor], one: TrainEdit) -> set[str]:
    """The parameters that are not bit for bit what they were, while and after the patch answers."""
    with patch.applied(mllm) as model:
        model.score(of(one))
        model.generate([one.edit.query], max_new_tokens=2)
        return {name for name, now in mllm.model.named_parameters() if not torch.equal(now, before[name])}


def told_parameters(mllm: MLLM, told: Area) -> set[str]:
    """All parameters in the decoder layers, or in the part, that an area names."""
    parts = {"vision tower": "vision", "connector": "connector", "Q-Former": "connector"}
    names = {name for what in told if what in parts for name in mllm.part(parts[what])}
    return names | {name for layers in told.values() for at in layers for name in mllm.part(f"layer.{at}")}
