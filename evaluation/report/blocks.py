"""Runs of all tasks as the rows of one table: a block for each model, and in it a row for each setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.report.names import names, setup_names
from evaluation.report.runs import Run, position
from evaluation.report.seeds import Group, grouped, seedless, setting
from evaluation.results.records import RunResult, Settings
from mmedit_build.rows import Task


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of a method on one model."""

    name: str
    """What tells it from the others of its block; it says nothing of seeds."""
    groups: Mapping[Task, Group]
    """Its runs, by what they were asked."""

    @property
    def run(self) -> Run:
        """One of them."""
        return next(iter(self.groups.values())).runs[0]


def blocks(runs: Mapping[Task, Sequence[Run]]) -> dict[str, list[Line]]:
    """The settings of each model, in the order of a report.

    Each task has a dataset of its own, and those of a model belong together. Only where a task has several
    for one model is a block of one of them.
    """
    asked = [run.header.settings for of_task in runs.values() for run in of_task]
    found: dict[tuple[str, ...], dict[Task, list[Run]]] = {}
    titled: dict[tuple[str, ...], Settings] = {}
    for task, of_task in runs.items():
        for run in of_task:
            of = run.header.settings
            dataset = _dataset(of, [one for one in asked if _model(one) == _model(of)])
            key = (*_model(of), dataset)
            titled.setdefault(key, replace(of, dataset=dataset, dataset_digest=dataset))
            found.setdefault(key, {}).setdefault(task, []).append(run)
    titles = setup_names(list(titled.values()))
    return {title: _lines(of) for title, of in zip(titles, found.values(), strict=True)}


def _model(of: Settings) -> tuple[str, str, str]:
    return (of.model_digest, of.prompts, of.split)


def _dataset(of: Settings, alike: Sequence[Settings]) -> str:
    """What tells a dataset from others that the same model was asked; nothing where each task has one."""
    digests = {(one.task, one.dataset_digest) for one in alike}
    if len(digests) == len({task for task, _ in digests}):
        return ""
    places = {(one.task, one.dataset) for one in alike}
    return of.dataset if len(places) == len(digests) else of.dataset_digest


def _lines(runs: Mapping[Task, Sequence[Run]]) -> list[Line]:
    """A row for each setting, whatever it was asked; of two that are alike, as of two machines, one each."""
    found: dict[tuple[str, int], dict[Task, Group]] = {}
    for task, of_task in runs.items():
        times: Counter[str] = Counter()
        for group in grouped(of_task):
            key = setting(_of_any_task(group).settings)
            found.setdefault((key, times[key]), {})[task] = group
            times[key] += 1
    firsts = [next(iter(groups.values())) for groups in found.values()]
    given = names([(_of_any_task(group), (*group.runs[0].folders, Path())[0]) for group in firsts])
    lines = [Line(name, groups) for name, groups in zip(given, found.values(), strict=True)]
    return sorted(lines, key=lambda line: position(replace(line.run, name=line.name)))


def _of_any_task(group: Group) -> RunResult:
    """What a run is of, but for its seed and what was asked."""
    header = seedless(group.runs[0].header)
    return replace(header, settings=replace(header.settings, task="vqa", dataset="", dataset_digest=""))
