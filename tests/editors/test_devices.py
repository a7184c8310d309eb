"""Every editor on a model over two devices makes the patch that it makes on one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from editors import EDITORS, load_editor
from editors.base import Learner, TrainEdit
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from editors.patches.whole_side_by_side import WholeSideBySide
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM
from tests.devices import Devices, spread
from tests.editors.contract import Case, answers, fitted, of

FEW: dict[str, Any] = {"steps": 2, "batch_size": 2}
CASES = [
    Case("alphaedit", {"samples": 20, "prefix_count": 1, "steps": 3, "edited": (2, 3, 4)}),
    Case("calinet", {"forms": ("{prompt}",), "steps": 3}),
    Case("dualedit", FEW | {"threshold": 0.5}),
    Case("ft", {"steps": 2, "part": "language"}),
    Case("ft-dataset", {"steps": 2}),
    Case("ft-l", {"steps": 2}),
    Case("ft-vision", {"steps": 2}),
    Case("grace", {"steps": 3}),
    Case("ike", {"encoder": "base", "copies": 1, "updates": 1, "retains": 1}),
    Case("ke", FEW | {"warmup": 0}),
    Case("kn", {"share": 0.5, "steps": 2, "forms": ("{prompt}",)}),
    Case("kn", {"share": 0.5, "steps": 2, "forms": ("{prompt}",), "mode": "enhance"}),
    Case("liveedit", FEW | {"margin": -100.0}),
    Case("lora", {"steps": 2}),
    Case("m-ore", {"known": 2, "steps": 2}),
    Case("memit", {"samples": 20, "prefix_count": 1, "steps": 3, "edited": (2, 3, 4)}),
    Case("mend", FEW),
    Case("mend", FEW | {"part": "vision"}),
    Case("oracle"),
    Case("remember", {"encoder": "base"}),
    Case("rome", {"samples": 20, "prefix_count": 1, "steps": 3, "layer": 4}),
    Case("scopeedit", {"known": 2, "steps": 2}),
    Case("serac", FEW),
    Case("serac-image", FEW | {"mixing": "soft"}),
    Case("t-patcher", {"memory": 40, "steps": 10}),
    Case("ultraedit", {"samples": 4}),
    Case("visedit", FEW | {"sampled": 4}),
    Case("wise", {"steps": 3}),
]


def test_the_table_has_every_editor() -> None:
    assert list(dict.fromkeys(case.name for case in CASES)) == list(EDITORS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_patches_and_answers_are_those_of_one_device(
    case: Case, miniature: MLLM, world: list[TrainEdit], tmp_path: Path
) -> None:
    train, validation, edits = world[:4], world[4:6], [one.edit for one in world[12:14]]
    queries = [query for one in world[12:14] for query in of(one)]
    editor = fitted(case, miniature, train, validation, tmp_path / "one")
    expected = [editor.plan(miniature, [edit]) for edit in edits]
    with Devices():
        mllm = spread(MLLM.load(locate("miniature/mllm"), device="cpu"), 4)
        editor = fitted(case, mllm, train, validation, tmp_path / "two")
        if isinstance(editor, Learner):
            # As from a file, from which tensors come into main memory.
            state, editor = editor.fitted(), load_editor(case.name, case.options)
            assert isinstance(editor, Learner)
            tensors = {name: tensor.cpu() for name, tensor in state.tensors.items()}
            editor.restore(mllm, replace(state, tensors=tensors))
        found = [editor.plan(mllm, [edit]) for edit in edits]
    for one, other in zip(expected, found, strict=True):
        with one.applied(miniature) as model:
            logits, said = answers(model, queries), model.generate(queries, max_new_tokens=3)
        with Devices():
            layer = other.first_layer(mllm)
            known = queries if layer is None else mllm.below(queries, layer, for_generation=True)
            with other.applied(mllm) as model:
                moved, written = answers(model, known), model.generate(known, max_new_tokens=3)
        for left, right in zip(logits, moved, strict=True):
            torch.testing.assert_close(left, right.cpu(), rtol=0, atol=1e-3)
        assert said == written


@pytest.mark.parametrize("kind", ["low rank", "whole"])
def test_patches_side_by_side_follow_their_modules(
    kind: str, miniature: MLLM, world: list[TrainEdit]
) -> None:
    queries, owners = [one.edit.query for one in world[:2]], [0, 1]
    low = [_drawn(miniature, number) for number in owners]
    whole = [
        WeightPatch({name: pair.left @ pair.right for name, pair in patch.factors.items()}) for patch in low
    ]
    beside = SideBySide(low) if kind == "low rank" else WholeSideBySide(whole)
    with beside.applied(miniature, owners) as model:
        expected = answers(model, queries)
    with Devices():
        mllm = spread(MLLM.load(locate("miniature/mllm"), device="cpu"), 4)
        with beside.applied(mllm, owners) as model:
            found = answers(model, queries)
    for left, right in zip(expected, found, strict=True):
        torch.testing.assert_close(left, right.cpu(), rtol=0, atol=1e-4)


def _drawn(mllm: MLLM, seed: int) -> LowRankPatch:
    """A small change of the last three layers."""
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for layer in (-3, -2, -1):
        down = mllm.mlp(layer).down
        sides = (down.module.out_features, 2), (2, down.module.in_features)
        left, right = (0.05 * torch.randn(size, generator=generator) for size in sides)
        factors[f"{down.name}.weight"] = Factors(left, right)
    return LowRankPatch(factors)
