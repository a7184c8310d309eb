"""Whole runs with several edits at once, of real methods on the real miniature."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.runs import find_runs, split
from evaluation.results.records import LINES, CaseResult, read_results
from evaluation.run import evaluate as whole
from evaluation.run.experiment import Experiment, Method, make_experiment
from mmedit_build.console import Advance
from mmedit_build.errors import UserError
from tests.evaluation.whole import evaluate

SMALL: dict[str, dict[str, Any]] = {
    "ft": {"steps": 3},
    "ike": {"encoder": "base", "copies": 0, "updates": 0, "retains": 0},
    "memit": {"samples": 20, "prefix_count": 1, "steps": 3},
    "mend": {"steps": 2, "batch_size": 2, "validate_every": 1},
    "serac": {"steps": 2, "batch_size": 2, "validate_every": 1, "negatives": ["others"]},
    "t-patcher": {"memory": 100, "steps": 20},
}
LABELS: list[str] = []


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    LABELS.append(label)
    yield lambda number, note="": None  # noqa: ARG005


@pytest.fixture
def experiment(dataset: Path, tmp_path: Path) -> Experiment:
    return Experiment(
        methods={name: Method(options=options) for name, options in SMALL.items()},
        dataset=str(dataset),
        task="vqa",
        device="cpu",
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        holdout=0.4,
        at_once=(3,),
    )


def change(experiment: Experiment, **changes: Any) -> Experiment:
    return experiment.model_copy(update=changes)


def timeless(results: list[CaseResult]) -> list[CaseResult]:
    return [replace(result, plan_seconds=0.0, probe_seconds=0.0) for result in results]


def test_every_sort_of_method_makes_several_edits_at_once(experiment: Experiment) -> None:
    folders = evaluate(experiment, progress)
    assert [folder.name for folder in folders] == ["unedited", *(f"{name}@3" for name in SMALL)]
    unedited = read_results(folders[0])[1]
    for folder in folders[1:]:
        header, results = read_results(folder)
        assert header.settings.at_once == 3
        assert (header.finished, header.scored, header.skipped) == (True, 4, {})
        assert [one.at_once for one in results] == [3, 3, 3, 1]
        assert [len(one.probes) for one in results] == [len(one.probes) for one in unedited]
        about = header.about
        assert about is not None
        assert about.batch
        assert (about.learned is None) is (header.fit_seconds is None) is (header.settings.method == "ft")
        assert about.preserves is (header.settings.method in ("ike", "serac", "t-patcher"))
        assert about.area
    # What one patch makes is as large for each edit of its group, and T-Patcher grows with each.
    changed = {folder.name: [one.changed for one in read_results(folder)[1]] for folder in folders}
    assert all(len(set(of[:3])) == 1 for of in changed.values())
    assert changed["t-patcher@3"][0] > changed["t-patcher@3"][3] > 0


def test_a_lost_group_is_made_again_with_the_same_numbers(experiment: Experiment) -> None:
    few = {name: experiment.methods[name] for name in ("ft", "t-patcher")}
    some = change(experiment, methods=few, at_once=(2,))
    _, *folders = evaluate(some, progress)
    for folder in folders:
        whole = timeless(read_results(folder)[1])
        path = folder / LINES
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:3]))
        evaluate(some, progress)
        header, results = read_results(folder)
        assert timeless(results) == whole
        assert header.finished
        assert header.about is not None


def test_never_more_at_once_than_there_are_and_that_is_said(experiment: Experiment) -> None:
    LABELS.clear()
    some = change(experiment, methods={"ft": experiment.methods["ft"]}, at_once=(1, 4, 100))
    folders = evaluate(some, progress)
    assert [folder.name for folder in folders] == ["unedited", "ft", "ft@4"]
    assert "vqa: ft" in LABELS
    assert "vqa: ft, 4 at once (all there are)" in LABELS
    assert read_results(folders[2])[0].settings.at_once == 4
    # Of three edits, four at once are as many as a hundred.
    few = evaluate(change(some, limit=3), progress)
    assert [folder.name for folder in few] == ["unedited", "ft", "ft@3"]


def test_ft_on_a_dataset_makes_all_edits_at_once_whatever_is_asked(experiment: Experiment) -> None:
    methods = {"ft-dataset": Method(options={"steps": 2}), "ft": experiment.methods["ft"]}
    some = change(experiment, methods=methods, at_once=(1, 2))
    folders = evaluate(some, progress)
    assert [folder.name for folder in folders] == ["unedited", "ft-dataset@4", "ft", "ft@2"]
    header, results = read_results(folders[1])
    assert header.about is not None
    assert header.about.whole
    assert [one.at_once for one in results] == [4, 4, 4, 4]
    first, several = split(find_runs([experiment.out])["vqa"])
    assert [run.name for run in first] == ["unedited", "ft", "ft-dataset@4"]
    assert [run.name for run in several] == ["ft", "ft@2"]


def test_there_is_no_stream_of_ft_on_a_dataset(experiment: Experiment) -> None:
    streamed = change(experiment, methods={"ft-dataset": Method()}, at_once=(1,), stream=(1,))
    with pytest.raises(UserError, match="trained once on all edits that are judged, so there is no stream"):
        evaluate(streamed, progress)


def test_a_run_with_other_groups_is_not_gone_on_with(experiment: Experiment) -> None:
    some = change(experiment, methods={"ft": experiment.methods["ft"]}, at_once=(2,), limit=3)
    evaluate(some, progress)
    with pytest.raises(UserError, match=r"Edit .*1 at once.*--limit"):
        evaluate(change(some, limit=4), progress)


def test_what_makes_single_edits_only_is_told_and_others_go_on(experiment: Experiment) -> None:
    methods = {"oracle": Method(), "ft": experiment.methods["ft"]}
    settled = whole.evaluate(change(experiment, methods=methods, at_once=(1, 2, 3)), progress)
    assert re.search("All is done but oracle for vqa: .*one edit at a time", str(settled.failed))
    names = [folder.name for folder in settled.done]
    assert names == ["unedited", "oracle", "ft", "ft@2", "ft@3"]


def test_one_at_once_is_what_there_is_without_saying_so(experiment: Experiment) -> None:
    few = {name: experiment.methods[name] for name in ("ft", "memit")}
    told = evaluate(change(experiment, methods=few, at_once=(1,)), progress)
    silent = Experiment(
        **{**experiment.model_dump(exclude={"at_once"}), "methods": few, "out": experiment.out / "b"}
    )
    for one, other in zip(told, evaluate(silent, progress), strict=True):
        assert timeless(read_results(one)[1]) == timeless(read_results(other)[1])
        assert one.name == other.name


def test_numbers_are_given_as_a_list_or_with_commas(tmp_path: Path) -> None:
    assert make_experiment(None, {"at_once": "1, 10,100"}).at_once == (1, 10, 100)
    file = tmp_path / "experiment.yaml"
    for text, expected in (("[1, 10]", (1, 10)), ("'1,10'", (1, 10)), ("10", (10,))):
        file.write_text(f"at_once: {text}")
        assert make_experiment(file, {}).at_once == expected
    for wrong in ("0", "ten", "1,,2", ""):
        with pytest.raises(UserError, match="at_once"):
            make_experiment(None, {"at_once": wrong})
