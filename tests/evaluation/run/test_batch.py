"""Several edits at once: groups, what is asked under their patches, and runs that go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.speed.plain import run_plain
from editors import load_editor
from editors.base import Edit, Editor
from editors.patches.weights import LowRankPatch, WeightPatch
from evaluation.data.cases import Case
from evaluation.data.probes import edit_of
from evaluation.results.records import CaseResult
from evaluation.run.batch import check_batch, check_dealt, dealt, run_batches
from evaluation.run.judging import Judging, skipped
from evaluation.run.single import run
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM

MakeEditor = Callable[[str], Editor]


def scores(result: CaseResult) -> list[dict[str, float]]:
    return [probe.scores[protocol] for probe in result.probes for protocol in sorted(probe.scores)]


def assert_same(one: Sequence[CaseResult], other: Sequence[CaseResult]) -> None:
    """The same answers and, but for rounding, the same numbers."""
    assert [result.id for result in one] == [result.id for result in other]
    for first, second in zip(one, other, strict=True):
        assert (first.skipped, first.at_once) == (second.skipped, second.at_once)
        assert [probe.after for probe in first.probes] == [probe.after for probe in second.probes]
        for left, right in zip(first.probes, second.probes, strict=True):
            assert left.log_prob_after == pytest.approx(right.log_prob_after, abs=1e-4)
        for mine, others in zip(scores(first), scores(second), strict=True):
            assert mine == pytest.approx(others, abs=1e-4)


class Recording:
    """Notes which edits are planned together."""

    def __init__(self, editor: Editor) -> None:
        self.planned: list[list[str]] = []
        plan = editor.plan

        def noted(mllm: MLLM, edits: Sequence[Edit]) -> object:
            self.planned.append([edit.id for edit in edits])
            return plan(mllm, edits)

        editor.plan = noted  # type: ignore[method-assign, assignment]


def test_edits_are_dealt_in_order_and_the_last_group_may_be_smaller(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    editor = make_editor("low rank")
    recording = Recording(editor)
    found = list(run_batches(make_judging(), editor, cases, 4))
    assert recording.planned == [[case.id for case in cases[:4]], [case.id for case in cases[4:]]]
    assert [one.id for one in found] == [case.id for case in cases]
    assert [one.at_once for one in found] == [4, 4, 4, 4, 2, 2]
    assert all(one.scored and one.plan_seconds > 0 and one.probe_seconds > 0 for one in found)
    assert [len(group) for group in dealt(cases, 100)] == [len(cases)]


@pytest.mark.parametrize("name", ["low rank", "whole", "vision"])
def test_what_is_shared_gives_what_full_passes_give(
    name: str, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging, some = make_judging(), [cases[1], cases[4], cases[2]]
    shared = list(run_batches(judging, make_editor(name), some, 2))
    plain = list(run_plain(judging, make_editor(name), some, 2))
    assert_same(shared, plain)
    moved = [
        probe.log_prob_after != pytest.approx(probe.log_prob_before, abs=1e-3)
        for result in shared
        for probe in result.probes
    ]
    assert sum(moved) > len(moved) / 2


def test_one_at_a_time_is_as_single_edits(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    for name in ("low rank", "whole"):
        single = list(run(judging, make_editor(name), cases))
        assert_same(list(run_batches(judging, make_editor(name), cases, 1)), single)


def test_everything_is_asked_under_the_patch_for_all(
    cases: list[Case], make_judging: Callable[..., Judging], mllm: MLLM
) -> None:
    """The same by hand: one plan for three edits, and each of them asked under it."""
    judging, some = make_judging(), cases[:3]
    editor = load_editor("ft", {"steps": 4, "lr": 1e-3})
    patch = editor.plan(mllm, [edit_of(case, mllm, "family") for case in some])
    found = list(run_batches(judging, editor, some, 3))
    alone = list(run(judging, editor, some))
    for case, together, single in zip(some, found, alone, strict=True):
        with patch.applied(mllm) as model:
            (scored,) = model.score([edit_of(case, mllm, "family").query])
        assert together.probes[0].log_prob_after == pytest.approx(float(scored.log_prob), abs=1e-4)
        assert together.probes[0].log_prob_after != pytest.approx(single.probes[0].log_prob_after, abs=1e-3)


def test_a_run_goes_on_group_by_group_with_the_same_numbers(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    whole = {one.id: one.probes for one in run_batches(judging, make_editor("whole"), cases, 2)}
    known = {cases[0].id, cases[1].id, cases[2].id}
    editor = make_editor("whole")
    recording = Recording(editor)
    rest = {one.id: one.probes for one in run_batches(judging, editor, cases, 2, known)}
    assert rest == {name: probes for name, probes in whole.items() if name not in known}
    # The first group is done, and of the second one edit was lost.
    assert recording.planned == [[case.id for case in cases[start : start + 2]] for start in (2, 4)]


def test_what_an_editor_draws_of_torch_is_seeded_by_the_edits_and_the_run(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging, editor = make_judging(), make_editor("low rank")
    drawn: list[Tensor] = []

    def plan(*_: object) -> LowRankPatch:
        drawn.append(torch.rand(3))
        return LowRankPatch({})

    editor.plan = plan  # type: ignore[method-assign, assignment]
    for group in (cases[:2], cases[:2], cases[1:3], cases[:1]):
        judging.patch(editor, group)
    judging.plan(editor, cases[0])
    replace(judging, seed=1).plan(editor, cases[0])
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert drawn[3].equal(drawn[4])
    assert not drawn[4].equal(drawn[5])


def test_a_group_that_cannot_be_made_costs_no_other_one(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    editor = make_editor("whole")
    plan = editor.plan

    def picky(mllm: MLLM, edits: Sequence[Edit]) -> object:
        if edits[0].id == cases[0].id:
            raise UserError("These edits cannot be made.")
        patch = plan(mllm, edits)
        assert isinstance(patch, WeightPatch)
        return WeightPatch({name: delta * float("nan") for name, delta in patch.deltas.items()})

    editor.plan = picky  # type: ignore[method-assign, assignment]
    first, second, third, fourth, *_ = run_batches(make_judging(), editor, cases, 2)
    assert first.skipped == second.skipped == "These edits cannot be made."
    assert "not finite" in str(third.skipped)
    assert "not finite" in str(fourth.skipped)


def test_the_broken_image_of_one_edit_costs_no_other(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging, editor = make_judging(), make_editor("low rank")
    broken = replace(cases[1], image=b"no image")
    probes = judging.probes(broken)
    judging.base.complete(judging.mllm, probes, write=True, batch_size=8, advance=lambda _: None)
    recording = Recording(editor)
    found = {one.id: one for one in run_batches(judging, editor, [cases[0], broken, cases[2]], 3)}
    assert recording.planned == [[cases[0].id, cases[2].id]]
    assert "image" in str(found[broken.id].skipped)
    assert found[cases[0].id].scored
    assert found[cases[2].id].scored


def test_only_what_a_patch_can_change_is_computed(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor, mllm: MLLM
) -> None:
    judging = make_judging(("legacy",))
    before = mllm.counts.vision, mllm.counts.layers
    assert all(one.scored for one in run_batches(judging, make_editor("whole"), cases, 3))
    number = sum(len(judging.probes(case)) for case in cases)
    # Up to the edited layers once, and from there to the end once more; no image is encoded again.
    assert (mllm.counts.vision - before[0], mllm.counts.layers - before[1]) == (0, number * mllm.n_layers)


def test_groups_of_other_sizes_are_not_mixed(cases: list[Case]) -> None:
    def result(number: int, at_once: int) -> CaseResult:
        return replace(skipped(cases[number], UserError("no matter")), at_once=at_once)

    check_dealt(cases, 4, [result(0, 4), result(5, 2)])
    check_dealt(cases[:4], 4, [result(0, 4), result(5, 2)])
    with pytest.raises(UserError, match=r"2 at once, and would now be one of 4: .*--limit.*--out"):
        check_dealt(cases, 4, [result(0, 2)])


def test_an_editor_of_single_edits_is_refused(make_editor: MakeEditor) -> None:
    editor = make_editor("low rank")
    check_batch(editor, 10)
    editor.batch = False  # type: ignore[misc]
    check_batch(editor, 1)
    with pytest.raises(UserError, match="one edit at a time"):
        check_batch(editor, 2)
