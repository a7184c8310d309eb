from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.speed.plain import run_plain
from editors import load_editor
from editors.base import Editor, Patch
from editors.patches.weights import LowRankPatch
from evaluation.data.cases import Case
from evaluation.results.records import CaseResult
from evaluation.run.asking import ask_unedited, unknown
from evaluation.run.base_outputs import BaseOutputs
from evaluation.run.judging import Judging
from evaluation.run.lifting import States, shared_layer
from evaluation.run.single import run
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM
from tests.devices import Devices, spread

MakeEditor = Callable[[str], Editor]


def scores(result: CaseResult) -> list[dict[str, float]]:
    return [probe.scores[protocol] for probe in result.probes for protocol in sorted(probe.scores)]


def assert_same(one: list[CaseResult], other: list[CaseResult]) -> None:
    """All that does not depend on time is the same, but for rounding."""
    assert [result.id for result in one] == [result.id for result in other]
    for first, second in zip(one, other, strict=True):
        assert first.skipped == second.skipped
        for left, right in zip(first.probes, second.probes, strict=True):
            assert (left.kind, left.item, left.before, left.after) == (
                *(right.kind, right.item, right.before, right.after),
            )
            assert left.log_prob_before == pytest.approx(right.log_prob_before, abs=1e-4)
            assert left.log_prob_after == pytest.approx(right.log_prob_after, abs=1e-4)
        for mine, others in zip(scores(first), scores(second), strict=True):
            assert mine == pytest.approx(others, abs=1e-4)


@pytest.mark.parametrize("name", ["low rank", "whole", "vision", "seen", "failing", "ft"])
def test_what_is_shared_gives_what_full_passes_give(
    name: str, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    # As many as it takes: full passes take their time.
    some = [cases[1], cases[2], cases[4]]
    shared = list(run(judging, make_editor(name), some))
    plain = list(run_plain(judging, make_editor(name), some))
    # A group may finish what it does side by side after what it does alone.
    assert_same(sorted(shared, key=lambda one: one.id), sorted(plain, key=lambda one: one.id))
    changed = [
        probe.log_prob_after != pytest.approx(probe.log_prob_before, abs=1e-3)
        for result in shared
        for probe in result.probes
    ]
    assert sum(changed) > len(changed) / 2


@pytest.mark.parametrize("name", ["low rank", "whole", "vision"])
def test_a_model_over_two_devices_is_judged_the_same(
    name: str, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging, some = make_judging(), [cases[1], cases[4]]
    expected = list(run(judging, make_editor(name), some))
    with Devices():
        two = spread(MLLM.load(locate("miniature/mllm"), device="cpu"), 4)
        found = list(run(replace(judging, mllm=two), make_editor(name), some))
    assert_same(found, expected)


def test_side_by_side_is_as_one_by_one(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    assert_same(
        list(run(judging, make_editor("low rank"), cases)), list(run(judging, make_editor("whole"), cases))
    )


def test_what_images_go_through_is_patched_for_one_edit_after_the_other(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    # The first two edits are about the same image, and each sees it in its own way.
    shared = [replace(cases[1], image=cases[0].image), *cases[:1], *cases[4:]]
    judging = make_judging()
    probes = [probe for case in shared for probe in judging.probes(case)]
    judging.base.complete(judging.mllm, probes, write=True, batch_size=8, advance=lambda _: None)
    together = list(run(judging, make_editor("seen"), shared))
    alone = [result for case in shared for result in run(judging, make_editor("seen"), [case])]
    assert_same(together, alone)
    for probe in (probe for result in together for probe in result.probes):
        assert probe.log_prob_before is not None
        assert probe.log_prob_after is not None
        moved = abs(probe.log_prob_after - probe.log_prob_before)
        if probe.kind == "text_locality":
            assert moved < 1e-4
            assert probe.scores["legacy"] == {"top1": 1.0, "top10": 1.0, "answer_top1": 1.0}
            assert probe.scores["wild"]["unchanged"] == 1.0
        else:
            assert moved > 1e-4


def test_patches_too_large_to_stand_side_by_side_are_judged_alone(
    cases: list[Case],
    make_judging: Callable[..., Judging],
    make_editor: MakeEditor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judging = make_judging()
    beside = list(run(judging, make_editor("whole"), cases))
    monkeypatch.setattr("evaluation.run.single.WHOLE_BYTES", 0)
    alone = list(run(judging, make_editor("whole"), cases))
    assert_same(beside, alone)
    # Side by side all take the same share of the time, alone each its own.
    assert len({result.probe_seconds for result in beside}) == 1
    assert len({result.probe_seconds for result in alone}) == len(cases)


@pytest.mark.parametrize("name", ["low rank", "whole", "ft"])
def test_a_run_goes_on_with_the_same_numbers(
    name: str, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    whole = {result.id: result.probes for result in run(judging, make_editor(name), cases)}
    known = {"vqa/0", "vqa/3", "caption/4"}
    rest = {result.id: result.probes for result in run(judging, make_editor(name), cases, known)}
    assert rest == {name: probes for name, probes in whole.items() if name not in known}


def test_only_what_an_edit_can_change_is_computed(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor, mllm: MLLM
) -> None:
    judging = make_judging(("legacy",))

    def work(judge: Callable[..., Any], name: str) -> tuple[int, int]:
        before = mllm.counts.vision, mllm.counts.layers
        assert all(result.scored for result in judge(judging, make_editor(name), cases))
        return mllm.counts.vision - before[0], mllm.counts.layers - before[1]

    number = sum(len(judging.probes(case)) for case in cases)
    pictures = sum(probe.query.image is not None for case in cases for probe in judging.probes(case))
    # Up to the edited layers once, and from there to the end once more: each layer once for each query.
    assert work(run, "low rank") == (0, number * mllm.n_layers)
    assert work(run, "whole") == (0, number * mllm.n_layers)
    # Before and after, each query from the image on.
    assert work(run_plain, "low rank") == (2 * pictures, 2 * number * mllm.n_layers)


def test_the_model_is_left_as_it_was(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor, mllm: MLLM
) -> None:
    judging = make_judging()
    before = {name: parameter.clone() for name, parameter in mllm.model.named_parameters()}
    for name in ("low rank", "vision", "failing"):
        list(run(judging, make_editor(name), cases))
    assert all(torch.equal(before[name], one) for name, one in mllm.model.named_parameters())


@pytest.mark.parametrize("name", ["failing", "grouped"])
def test_one_edit_that_fails_is_skipped_with_its_reason_and_costs_no_other(
    name: str, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    found = {result.id: result for result in run(make_judging(), make_editor(name), cases)}
    assert found["vqa/1"].skipped == "This edit cannot be made; try another."
    assert "not finite" in (found["vqa/2"].skipped or "")
    assert found["vqa/1"].probes == found["vqa/2"].probes == ()
    others = [found[case.id] for case in cases if case.id not in ("vqa/1", "vqa/2")]
    assert all(result.scored and result.probes for result in others)


def ask(judging: Judging, cases: Sequence[Case]) -> None:
    """Have the unedited model asked all of some cases, which build on nothing."""
    for portion in unknown(judging, cases):
        asked = [case for case in cases if case.id in portion.ids]
        ask_unedited(judging, asked, portion.keys, lambda _: None)


def test_a_group_is_planned_together_also_where_some_have_results_and_an_image_is_broken(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    some = [cases[0], replace(cases[2], id="vqa/9", image=b"no image"), *cases[3:]]
    judging, editor = make_judging(("legacy",)), make_editor("grouped")
    ask(judging, some)
    patches: list[Patch] = []
    results = list(run(replace(judging, seen=patches.append), editor, some, {"vqa/0"}))
    assert [result.id for result in results if not result.scored] == ["vqa/9"]
    assert editor.planned == [4]  # type: ignore[attr-defined]
    assert len(patches) == 4
    assert len({result.plan_seconds for result in results if result.scored}) == 1


def test_what_methods_ask_for_is_known_from_the_pass_that_asks_the_unedited_model(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor, tmp_path: Path
) -> None:
    plain = make_judging()
    mllm, layer = plain.mllm, plain.mllm.n_layers - 2
    number = sum(len(plain.probes(case)) for case in cases)
    expected = list(run(plain, make_editor("low rank"), cases))
    for states in (States(layer, 2**30), States(layer, 0), States(layer - 1, 2**30)):
        judging = replace(plain, base=BaseOutputs.open(tmp_path / f"{states}"), states=states)
        ask(judging, cases)
        before, has_room = mllm.counts.layers, states.room > 0
        below = judging.lifting(cases).of(cases, layer)
        assert mllm.counts.layers - before == number * ((layer - states.layer) if has_room else layer)  # type: ignore[operator]
        assert below.queries == tuple(probe.query for case in cases for probe in judging.probes(case))
        assert_same(list(run(judging, make_editor("low rank"), cases)), expected)


def test_states_are_kept_where_most_is_saved(make_editor: MakeEditor, mllm: MLLM) -> None:
    grouped, tuned = make_editor("grouped"), make_editor("ft")
    low = load_editor("rome", {"layer": 1})
    assert shared_layer([make_editor("low rank")], mllm) is None
    assert shared_layer([tuned], mllm) == mllm.n_layers - 1
    assert shared_layer([low, tuned, grouped], mllm) == mllm.n_layers - 2


def test_a_bug_of_an_editor_ends_the_run(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    editor = make_editor("low rank")

    def broken(*_: object) -> LowRankPatch:
        raise KeyError("a slip")

    editor.plan = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyError, match="a slip"):
        list(run(make_judging(), editor, cases))


def test_an_edit_without_effect_changes_no_score(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    judging = make_judging()
    editor = make_editor("low rank")
    editor.strength = 0.0  # type: ignore[attr-defined]
    edited, unedited = list(run(judging, editor, cases)), [judging.unedited(case) for case in cases]
    assert_same(edited, unedited)
    for result in edited:
        for probe in result.probes:
            if probe.relation is not None:
                assert probe.scores["legacy"] == {"top1": 1.0, "top10": 1.0, "answer_top1": 1.0}
                assert probe.scores["wild"]["unchanged"] == 1.0
                assert probe.scores["wild"]["kl"] == pytest.approx(0.0, abs=1e-6)


def test_a_protocol_left_out_costs_nothing(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    both = list(run(make_judging(), make_editor("low rank"), cases))
    for protocol in ("legacy", "wild"):
        for one, other in zip(
            run(make_judging((protocol,)), make_editor("low rank"), cases), both, strict=True
        ):
            for left, right in zip(one.probes, other.probes, strict=True):
                assert left.scores.keys() == {protocol}
                assert left.scores[protocol] == pytest.approx(right.scores[protocol], abs=1e-4)
                assert (left.after is None) is (protocol == "legacy")


def test_edits_are_timed_and_their_size_is_told(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor, mllm: MLLM
) -> None:
    down = mllm.mlp(-1).down.module.weight.numel()
    for result in run(make_judging(), make_editor("low rank"), cases):
        assert result.plan_seconds > 0
        assert result.probe_seconds > 0
        assert result.changed == 2 * down
