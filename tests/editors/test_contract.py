"""What every editor has to keep to, on the real miniature. A new editor adds one row."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from editors import EDITORS, editor_class, load_editor
from editors.base import Editor, Grouping, Learner, Patch, TrainEdit
from editors.checking.duties import Trial, check
from editors.oracle import OraclePatch
from editors.patches.overlays import PromptPatch
from editors.saving import load_patch, read_state, save_patch, write_state
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot
from tests.editors.contract import Case, answers, assert_equal, fitted, of

ADAPTED = {"steps": 40, "validate_every": 40}
CASES = [
    Case("alphaedit", {"samples": 50, "prefix_count": 2, "share": 0.3, "l2": 0.1}),
    Case("calinet", {"forms": ("{prompt}",)}),
    Case("dualedit", ADAPTED | {"threshold": 0.5}),
    Case("ft", {"lr": 1e-3}),
    Case("ft-dataset", {"steps": 40, "lr": 1e-1}),
    Case("ft-l", {"norm": 2e-3}),
    Case("ft-vision", {"lr": 2e-3}),
    Case("grace", {"steps": 20}),
    Case("ike", {"encoder": "base", "copies": 0, "updates": 0, "retains": 0, "self_copy": False}),
    Case("ke", {"steps": 20, "batch_size": 4, "warmup": 0, "lr": 1e-4}),
    Case("kn", {"share": 0.7, "steps": 3, "forms": ("{prompt}", "{question}")}),
    Case("liveedit", ADAPTED | {"margin": -100.0}),
    Case("lora"),
    Case("m-ore", {"known": 2}),
    Case("memit", {"samples": 50, "prefix_count": 2}),
    Case("mend", {"steps": 4, "batch_size": 4, "lr": 1e-6, "edit_lr": 3e-5}),
    Case("mend", {"part": "connector", "steps": 4, "batch_size": 4, "lr": 1e-6, "edit_lr": 1e-4}),
    Case("oracle"),
    Case("remember", {"encoder": "base"}),
    Case("rome", {"samples": 50, "prefix_count": 2}),
    Case("scopeedit", {"known": 2}),
    Case("serac", {"steps": 30, "batch_size": 4, "lr": 1e-3, "negatives": ["others"]}),
    Case("serac-image", {"steps": 30, "batch_size": 4, "lr": 1e-3, "mixing": "soft"}),
    Case("t-patcher", {"memory": 400}),
    Case("ultraedit", {"lr": 3e-3}),
    Case("visedit", ADAPTED | {"layer": -3}),
    Case("wise"),
]
TRAIN = 10


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
def patches(editor: Editor, miniature: MLLM, world: list[TrainEdit]) -> list[Patch]:
    """Two edits, each by itself."""
    return [editor.plan(miniature, [one.edit]) for one in world[12:14]]


@pytest.fixture(scope="module")
def queries(world: list[TrainEdit]) -> list[Query]:
    """The edits and all their probes."""
    return [query for one in world[12:14] for query in of(one)]


def test_the_table_has_every_editor() -> None:
    assert list(dict.fromkeys(case.name for case in CASES)) == list(EDITORS)


def test_every_option_is_documented(case: Case) -> None:
    undocumented = [
        name for name, one in editor_class(case.name).Config.model_fields.items() if not one.description
    ]
    assert undocumented == []


def test_fitting_and_planning_change_nothing(
    case: Case, miniature: MLLM, world: list[TrainEdit], tmp_path: Path
) -> None:
    before = Snapshot(miniature)
    editor = fitted(case, miniature, world[:TRAIN], world[TRAIN:12], tmp_path)
    before.assert_unchanged(miniature)
    editor.plan(miniature, [one.edit for one in world[12 : 14 if editor.batch else 13]])
    before.assert_unchanged(miniature)


def test_the_edit_takes(case: Case, miniature: MLLM, world: list[TrainEdit], patches: list[Patch]) -> None:
    for one, patch in zip(world[12:14], patches, strict=True):
        (before,) = miniature.score([one.edit.query])
        with patch.applied(miniature) as model:
            (after,) = model.score([one.edit.query])
            (said,) = model.generate([one.edit.query])
        assert after.log_prob - before.log_prob > case.gain
        assert isinstance(said, str)


def test_several_edits_take_together(miniature: MLLM, editor: Editor, world: list[TrainEdit]) -> None:
    wishes = [one.edit for one in world[12:14]]
    if not editor.batch:
        with pytest.raises(UserError, match="one at a time"):
            editor.plan(miniature, wishes)
        return
    queries = [wish.query for wish in wishes]
    with editor.plan(miniature, wishes).applied(miniature) as model:
        after = sum(float(one.log_prob) for one in model.score(queries))
    assert after > sum(float(one.log_prob) for one in miniature.score(queries))


def test_edits_planned_together_are_as_each_by_itself(
    miniature: MLLM, editor: Editor, world: list[TrainEdit], patches: list[Patch], queries: list[Query]
) -> None:
    if not isinstance(editor, Grouping):
        pytest.skip("plans one by one")
    layer = editor.begins(miniature)
    if layer is None:
        pytest.skip("plans one by one")
    wishes = [[world[12].edit], [world[13].edit], [one.edit for one in world[14:16]]]
    before = Snapshot(miniature)
    found = editor.plan_each(miniature, wishes, miniature.below)
    before.assert_unchanged(miniature)
    assert [patch.first_layer(miniature) for patch in found] == [layer] * len(wishes)
    for one, other in zip(found, [*patches, editor.plan(miniature, wishes[2])], strict=True):
        assert one.state().tensors.keys() == other.state().tensors.keys()
        with one.applied(miniature) as model:
            together = answers(model, queries)
        with other.applied(miniature) as model:
            alone = answers(model, queries)
        for pair in zip(together, alone, strict=True):
            torch.testing.assert_close(*pair, rtol=0, atol=2e-3)


@pytest.mark.parametrize("around", [PromptPatch(("Look closely. ",)), OraclePatch({})])
def test_edits_are_planned_under_patches_that_rewrite_or_route_or_refused(
    miniature: MLLM, editor: Editor, world: list[TrainEdit], patches: list[Patch], around: Patch
) -> None:
    with around.applied(miniature) as model:
        if editor.family not in {"memory", "sanity"}:
            with pytest.raises(UserError, match="looks into the layers of the model"):
                editor.plan(model, [world[12].edit])
            return
        found = editor.plan(model, [world[12].edit]).state()
    expected = patches[0].state()
    assert found.fields == expected.fields
    assert all(torch.equal(one, expected.tensors[name]) for name, one in found.tensors.items())


def test_undo_is_exact_also_after_an_error(
    miniature: MLLM, patches: list[Patch], queries: list[Query]
) -> None:
    before, logits = Snapshot(miniature), answers(miniature, queries)
    with patches[0].applied(miniature) as model:
        answers(model, queries)
    before.assert_unchanged(miniature)
    with suppress(KeyboardInterrupt), patches[0].applied(miniature) as model:
        answers(model, queries)
        raise KeyboardInterrupt
    before.assert_unchanged(miniature)
    assert_equal(logits, answers(miniature, queries))


def test_the_same_patch_gives_the_same_answers_again(
    miniature: MLLM, patches: list[Patch], queries: list[Query]
) -> None:
    both = []
    for _ in range(2):
        with patches[0].applied(miniature) as model:
            both.append(answers(model, queries))
    assert_equal(*both)


def test_patches_nest(miniature: MLLM, patches: list[Patch], queries: list[Query]) -> None:
    plain = answers(miniature, queries)
    with patches[0].applied(miniature) as outer:
        first = answers(outer, queries)
        with patches[1].applied(outer) as inner:
            both = answers(inner, queries)
        assert_equal(first, answers(outer, queries))
    assert_equal(plain, answers(miniature, queries))
    with patches[1].applied(miniature) as model:
        second = answers(model, queries)
    assert any(not torch.equal(*pair) for pair in zip(first, both, strict=True))
    assert any(not torch.equal(*pair) for pair in zip(second, both, strict=True))


def test_a_patch_nests_with_one_of_weights_on_either_side(
    miniature: MLLM, patches: list[Patch], queries: list[Query], world: list[TrainEdit]
) -> None:
    weights = load_editor("ft", {"lr": 1e-3}).plan(miniature, [world[14].edit])
    before = Snapshot(miniature)
    with weights.applied(miniature) as outer, patches[0].applied(outer) as inner:
        one = answers(inner, queries)
    with patches[0].applied(miniature) as outer, weights.applied(outer) as inner:
        other = answers(inner, queries)
    before.assert_unchanged(miniature)
    for pair in zip(one, other, strict=True):
        torch.testing.assert_close(*pair, rtol=0, atol=1e-4)


def test_saved_and_loaded_it_gives_the_same_answers(
    miniature: MLLM, patches: list[Patch], queries: list[Query], tmp_path: Path
) -> None:
    save_patch(patches[0], tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert loaded.changed == patches[0].changed
    assert loaded.first_layer(miniature) == patches[0].first_layer(miniature)
    with patches[0].applied(miniature) as model:
        expected, said = answers(model, queries), model.generate(queries, max_new_tokens=8)
    with loaded.applied(miniature) as model:
        assert_equal(expected, answers(model, queries))
        assert said == model.generate(queries, max_new_tokens=8)


def test_what_was_learned_is_saved_and_taken_up(
    case: Case, editor: Editor, miniature: MLLM, patches: list[Patch], world: list[TrainEdit], tmp_path: Path
) -> None:
    if not isinstance(editor, Learner):
        pytest.skip("learns nothing")
    write_state(tmp_path / "state", editor.fitted(), "fitted")
    again = load_editor(case.name, case.options)
    assert isinstance(again, Learner)
    again.restore(miniature, read_state(tmp_path / "state")[0])
    queries = of(world[12])
    with patches[0].applied(miniature) as model:
        expected = answers(model, queries)
    with again.plan(miniature, [world[12].edit]).applied(miniature) as model:
        assert_equal(expected, answers(model, queries))


def test_a_learner_has_nothing_to_keep_before_it_has_learned(case: Case) -> None:
    editor = load_editor(case.name, case.options)
    if not isinstance(editor, Learner):
        pytest.skip("learns nothing")
    with pytest.raises(ValueError, match="fit"):
        editor.fitted()


def test_work_below_the_first_layer_is_reused(
    miniature: MLLM, patches: list[Patch], queries: list[Query]
) -> None:
    layer = patches[0].first_layer(miniature)
    if layer is None:
        # Whatever below is given may be of no use, but must do no harm to a patch of the prompt.
        pytest.skip("nothing is reused")
    for below in (miniature.below(queries, at, for_generation=True) for at in {layer, layer // 2}):
        with patches[0].applied(miniature) as model:
            full = model.score(queries, positions="all")
            before = miniature.counts.layers
            plain_texts = model.generate(queries, max_new_tokens=8)
            plain_work = miniature.counts.layers - before
            reused = model.score(below, positions="all")
            before = miniature.counts.layers
            assert model.generate(below, max_new_tokens=8) == plain_texts
            assert miniature.counts.layers - before < plain_work or not below.layer
        for one, other in zip(full, reused, strict=True):
            torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)


def test_batches_of_any_size_give_the_same_answers(
    miniature: MLLM, patches: list[Patch], queries: list[Query]
) -> None:
    with patches[0].applied(miniature) as model:
        together, alone = model.score(queries), model.score(queries, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)


def test_it_passes_the_checks_for_editors_of_users(
    miniature: MLLM, editor: Editor, world: list[TrainEdit]
) -> None:
    trial = Trial(miniature, editor, world[12].edit, of(world[12]), [world[13].edit])
    assert [(one.duty, one.failure) for one in check(trial) if one.failure] == []
