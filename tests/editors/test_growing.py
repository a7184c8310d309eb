"""Edits one after the other: what every editor has to keep to when it adds to a patch of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from editors import load_editor
from editors.base import Edit, Editor, Patch, TrainEdit
from editors.growing import Growing, Made, grow
from editors.patches.weights import Factors, LowRankPatch, folded, together
from editors.saving import load_patch, save_patch
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot
from tests.editors.contract import Case, answers, assert_equal, fitted
from tests.editors.test_contract import CASES, TRAIN

PLANNED_ANEW = {"ike"}
MOVE_ON = {"alphaedit", "calinet", "ft", "ft-dataset", "ft-l", "ft-vision", "lora", "memit", "ultraedit"}
"""Methods of which edits one after the other are not the edits at once."""
IN_EACH_OTHERS_WAY = {"kn"}
"""Methods whose edits undo each other, at once too."""
EDITS = 3


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.title)
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


@pytest.fixture(scope="module")
def editor(
    case: Case, miniature: MLLM, world: list[TrainEdit], tmp_path_factory: pytest.TempPathFactory
) -> Editor:
    return fitted(case, miniature, world[:TRAIN], world[TRAIN:12], tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def edits(world: list[TrainEdit]) -> list[Edit]:
    return [one.edit for one in world[12 : 12 + EDITS]]


@pytest.fixture(scope="module")
def queries(world: list[TrainEdit]) -> list[Query]:
    kept = [query for one in world[12 : 12 + EDITS] for query in (*one.text_locality, *one.image_locality)]
    return [*(one.edit.query for one in world[12 : 12 + EDITS]), *kept]


@pytest.fixture(scope="module")
def made(editor: Editor, miniature: MLLM, edits: list[Edit]) -> Made:
    """All edits one by one."""
    found = None
    for edit in edits:
        found = grow(editor, miniature, found, [edit])
    assert found is not None
    return found


def said(patch: Patch, mllm: MLLM, queries: list[Query]) -> list[torch.Tensor]:
    with patch.applied(mllm) as model:
        return answers(model, queries)


def test_who_grows(case: Case, editor: Editor) -> None:
    assert isinstance(editor, Growing) is (case.name not in PLANNED_ANEW)


def test_what_grew_is_the_patch_of_all_at_once(
    case: Case, editor: Editor, miniature: MLLM, edits: list[Edit], queries: list[Query], made: Made
) -> None:
    if case.name in MOVE_ON or not editor.batch:
        pytest.skip("edits one after the other are not the edits at once")
    once = said(editor.plan(miniature, edits), miniature, queries)
    for one, other in zip(said(made.patch, miniature, queries), once, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-4)


def test_the_newest_edit_takes_and_steps_may_hold_several(
    case: Case, editor: Editor, miniature: MLLM, edits: list[Edit], made: Made
) -> None:
    assert made.edits == tuple(edits)
    several = grow(editor, miniature, grow(editor, miniature, None, edits[:1]), edits[1:])
    assert several.edits == made.edits
    (before,) = miniature.score([edits[-1].query])
    for patch in (made.patch, several.patch):
        with patch.applied(miniature) as model:
            (after,) = model.score([edits[-1].query])
        assert case.name in IN_EACH_OTHERS_WAY or after.log_prob > before.log_prob


def test_neither_the_model_nor_the_earlier_patch_changes(
    editor: Editor, miniature: MLLM, edits: list[Edit], queries: list[Query]
) -> None:
    first = grow(editor, miniature, None, edits[:1])
    expected, before = said(first.patch, miniature, queries), Snapshot(miniature)
    grow(editor, miniature, first, edits[1:2])
    before.assert_unchanged(miniature)
    assert_equal(expected, said(first.patch, miniature, queries))


def test_a_patch_read_from_a_file_goes_on_as_the_same(
    editor: Editor, miniature: MLLM, edits: list[Edit], queries: list[Query], made: Made, tmp_path: Path
) -> None:
    both = grow(editor, miniature, grow(editor, miniature, None, edits[:1]), edits[1:2])
    save_patch(both.patch, tmp_path / "patch")
    loaded = Made(both.edits, load_patch(tmp_path / "patch", miniature.device))
    again = grow(editor, miniature, loaded, edits[2:])
    assert_equal(said(made.patch, miniature, queries), said(again.patch, miniature, queries))


def test_what_grows_does_so_to_an_end() -> None:
    patches = [LowRankPatch({"a": Factors(torch.randn(4, 3), torch.randn(3, 6))}) for _ in range(3)]
    tall = [LowRankPatch({"a": Factors(torch.randn(6, 3), torch.randn(3, 4))}) for _ in range(3)]
    for lot in (patches, tall):
        assert folded(lot[0]).factors["a"] is lot[0].factors["a"]
        whole, small = together(lot).factors["a"], folded(together(lot)).factors["a"]
        assert small.left.shape[1] == 4
        torch.testing.assert_close(small.left @ small.right, whole.left @ whole.right, rtol=0, atol=0)


def test_neurons_that_two_edits_share_change_by_the_sum(miniature: MLLM, world: list[TrainEdit]) -> None:
    editor = load_editor("kn", {"share": 0.5, "steps": 3, "forms": ["{prompt}"]})
    twice = [world[12].edit, world[12].edit]
    made = grow(editor, miniature, grow(editor, miniature, None, twice[:1]), twice[1:])
    once = editor.plan(miniature, twice)
    assert made.patch.changed == once.changed > 0
    assert isinstance(made.patch, LowRankPatch)
    assert isinstance(once, LowRankPatch)
    for name, pair in once.factors.items():
        assert torch.equal(pair.left, made.patch.factors[name].left)
