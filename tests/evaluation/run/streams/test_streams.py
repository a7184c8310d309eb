"""Whole streams of real methods on the real miniature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import product
from typing import Any

import pytest

from evaluation.data.dataset import load_cases
from evaluation.data.probes import ask_all
from evaluation.results.records import CaseResult, read_results
from evaluation.results.streams import StreamFolder, read_stream
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment, Method
from evaluation.run.loading import load_editors, load_model
from evaluation.run.single import run
from evaluation.run.streams import course
from evaluation.run.streams.dealing import ordered
from evaluation.run.streams.plan import Plan
from mmedit_build.console import Advance
from mmedit_build.errors import UserError
from tests.evaluation.run.streams.conftest import SMALL
from tests.evaluation.run.streams.reading import numbers, timeless
from tests.evaluation.whole import evaluate, rounded


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    yield lambda number, note="": None  # noqa: ARG005


def change(experiment: Experiment, *methods: str, **changes: Any) -> Experiment:
    chosen = {name: experiment.methods.get(name, Method()) for name in methods}
    return experiment.model_copy(update={"methods": chosen or experiment.methods, **changes})


def score(results: Sequence[CaseResult], protocol: str, name: str) -> list[float]:
    probes = [one.probes[0] for one in results]
    return [probe.scores[protocol][name] for probe in probes]  # type: ignore[index]


@pytest.mark.parametrize("method", SMALL)
def test_every_sort_of_method_makes_a_stream(method: str, experiment: Experiment) -> None:
    _, folder = evaluate(change(experiment, method), progress)
    header, done, online = read_stream(folder)
    edits = header.settings.stream
    assert folder.name == method
    assert edits == 6
    assert (header.finished, header.edits) == (True, 2 * edits)
    assert [(one.order, one.edits) for one in done] == [(of, n) for of in (0, 1) for n in (1, 3, edits)]
    assert [(one.order, one.position) for one in online] == list(product((0, 1), range(edits)))
    for one in done:
        assert one.skipped is None
        assert [kept.position for kept in one.retention] == list(range(one.edits))
        assert one.patch_bytes > 0
        assert one.plan_seconds > 0
        assert one.peak_bytes > 0
        assert one.slowdown is not None
    orders = [[kept.result.id for kept in one.retention] for one in done if one.edits == edits]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert len({tuple(kept.result.prompt for kept in one.fixed) for one in done}) == 1
    assert not list(folder.glob("*.safetensors"))
    assert header.about is not None
    assert header.about.area


def test_the_fixed_set_is_of_no_edit_in_the_stream(experiment: Experiment) -> None:
    _, folder = evaluate(change(experiment, "ft"), progress)
    _, done, online = read_stream(folder)
    cases = {case.id: case for case in load_cases(experiment.dataset)}
    streamed = {one.result.id for one in online}
    mllm = load_model(experiment)
    held = {
        probe.query.prompt
        for name, case in cases.items()
        if name not in streamed
        for probe in ask_all(case, mllm)
        if probe.is_locality
    }
    assert {kept.result.prompt for kept in done[0].fixed} <= held
    assert {kept.result.kind for kept in done[0].fixed} == {"text_locality", "image_locality"}


def test_the_oracle_forgets_nothing_and_touches_nothing_else(experiment: Experiment) -> None:
    _, folder = evaluate(change(experiment, "oracle"), progress)
    _, done, online = read_stream(folder)
    assert score([one.result for one in online], "wild", "match") == [1] * len(online)
    for one in done:
        retained = [kept.result for kept in one.retention]
        assert score(retained, "wild", "match") == score(retained, "legacy", "exact_match") == [1] * one.edits
        for kept in one.fixed:
            assert kept.result.scores["wild"]["unchanged"] == kept.result.scores["legacy"]["top10"] == 1
            assert kept.knows == kept.knew


@pytest.mark.usefixtures("own_editors")
def test_an_editor_that_does_nothing_is_as_the_unedited_model(experiment: Experiment) -> None:
    unedited, folder = evaluate(change(experiment, "none"), progress)
    before = {one.id: one for one in read_results(unedited)[1]}
    _, done, online = read_stream(folder)
    for one in (*online, *(kept for checkpoint in done for kept in checkpoint.retention)):
        probe, same = one.result.probes[0], before[one.result.id].probes[0]
        assert (probe.after, probe.scores) == (same.after, same.scores)
    for kept in (kept for checkpoint in done for kept in checkpoint.fixed):
        assert kept.result.scores["wild"]["unchanged"] == kept.result.scores["legacy"]["top1"] == 1
        assert kept.knows == kept.knew


def test_a_stream_of_one_edit_is_that_edit_but_for_rounding(experiment: Experiment) -> None:
    some = change(experiment, "ft", "mend", "rome", "serac", "t-patcher", stream=(1,), orders=1)
    _, *folders = evaluate(some, progress)
    bench = Bench(some, load_model(some), "vqa", load_cases(some.dataset, "vqa"), progress)
    streamed = Plan(some, bench.wanted).dealt.streamed
    first = ordered(streamed, some.seed, 0)[0]
    for (name, editor), folder in zip(load_editors(some).items(), folders, strict=True):
        bench.fit(name, editor)
        (single,) = run(bench.judging, editor, [first])
        (checkpoint,), (online,) = numbers(folder)
        assert rounded(checkpoint.retention[0].result) == asdict(timeless(single))
        assert online.result.probes[0].after == single.probes[0].after


class Killed(BaseException):
    """As a kill, it is nothing that is waited for."""


@contextmanager
def killed(after: str, times: int) -> Iterator[None]:
    """A run inside is killed when this was done so many times."""
    done: list[object] = []
    write = getattr(StreamFolder, after)

    def written(self: StreamFolder, line: object) -> None:
        write(self, line)
        done.append(line)
        if len(done) == times:
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StreamFolder, after, written)
        yield


@pytest.mark.parametrize("method", ["calinet", "ft", "mend", "serac", "t-patcher", "unwilling"])
@pytest.mark.usefixtures("own_editors")
def test_killed_anywhere_it_goes_on_to_the_same_numbers(
    method: str, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EVERY", 2)
    some = change(experiment, method, orders=1)
    *_, whole = evaluate(some, progress)
    again = some.model_copy(update={"out": experiment.out.parent / "again"})
    for after, times in (("add_online", 2), ("add_online", 1), ("add_checkpoint", 1), ("add_online", 2)):
        with killed(after, times), pytest.raises(Killed):
            evaluate(again, progress)
        # Half a line is what a real kill leaves.
        lines = again.out / "vqa" / "streams" / method / "online.jsonl"
        lines.write_bytes(lines.read_bytes() + b'{"order":0,"posi')
    *_, folder = evaluate(again, progress)
    assert numbers(folder) == numbers(whole)


def test_a_checkpoint_before_the_patch_that_is_kept_is_judged_too(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EVERY", 2)
    some = change(experiment, "ft", stream=(2, 3, 6), orders=1)
    *_, whole = evaluate(some, progress)
    again = change(some, "ft", stream=(6,), out=experiment.out.parent / "again")
    with killed("add_online", 5), pytest.raises(Killed):
        evaluate(again, progress)
    assert list((again.out / "vqa" / "streams" / "ft").glob("order-0-4.safetensors"))
    for numbers_wanted in ((2,), (2, 3, 6)):
        *_, folder = evaluate(change(again, "ft", stream=numbers_wanted), progress)
        assert [one.edits for one in numbers(folder)[0]] == list(numbers_wanted)
    assert numbers(folder) == numbers(whole)


@pytest.mark.usefixtures("own_editors")
def test_an_edit_that_cannot_be_made_is_left_out_with_its_reason(experiment: Experiment) -> None:
    _, folder = evaluate(change(experiment, "unwilling", orders=1), progress)
    _, done, online = read_stream(folder)
    left_out = {one.position for one in online if not one.made}
    assert 0 < len(left_out) < len(online)
    for one in (*online, *done[-1].retention):
        assert (one.result.skipped is None) is one.made is (one.position not in left_out)
    assert done[-1].fixed


def test_more_checkpoints_and_orders_are_added_and_other_edits_refused(experiment: Experiment) -> None:
    some = change(experiment, "ft", stream=(2,), orders=1)
    *_, folder = evaluate(some, progress)
    first = numbers(folder)
    evaluate(change(some, "ft", stream=(2, 4), orders=2), progress)
    checkpoints, online = numbers(folder)
    assert [(one.order, one.edits) for one in checkpoints] == [(0, 2), (0, 4), (1, 2), (1, 4)]
    assert checkpoints[0] == first[0][0]
    assert online[:2] == first[1]
    with pytest.raises(UserError, match=r"stream was .* and is now 5"):
        evaluate(change(some, "ft", limit=6), progress)


def test_a_stream_is_not_of_several_at_once() -> None:
    with pytest.raises(UserError, match="leave out --at-once"):
        Experiment(stream=(1,), at_once=(2,))
