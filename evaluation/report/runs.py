"""The results that a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from editors.families import METHOD_FAMILIES
from evaluation.experiment import UNEDITED
from evaluation.results import HEADER, CaseResult, RunResult, Settings, read_results
from mmedit_build.errors import UserError
from mmedit_build.rows import TASKS, Task


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one task."""

    name: str
    header: RunResult
    results: Sequence[CaseResult]

    @property
    def task(self) -> Task:
        return self.header.settings.task

    @property
    def at_once(self) -> int:
        """How many edits one patch makes."""
        return self.header.settings.at_once

    @property
    def single(self) -> bool:
        """Whether the method is known to make one edit at a time."""
        return self.header.about is not None and not self.header.about.batch

    @property
    def family(self) -> str:
        """That of the method; empty where it is not known."""
        return "" if self.header.about is None else self.header.about.family


def find_runs(folders: Sequence[Path]) -> dict[Task, list[Run]]:
    """All results below some folders by task, the unedited model's first and the others by their families."""
    # The same folder may be named in several ways.
    found = {path.parent.resolve(): path.parent for folder in folders for path in folder.rglob(HEADER)}
    if not found:
        raise UserError(
            f"There are no results in {', '.join(map(str, folders))}; give folders that mmedit-eval wrote."
        )
    runs = [Run("", *read_results(folder)) for folder in sorted(found.values())]
    return {task: of_task for task in TASKS if (of_task := _named([run for run in runs if run.task == task]))}


def _named(runs: Sequence[Run]) -> list[Run]:
    """The runs by their methods, with a number where a method comes more than once.

    The unedited model comes once for each set of settings: its results are the same in every folder.
    """
    named: dict[str, Run] = {}
    unedited: list[Settings] = []
    for run in runs:
        settings = run.header.settings
        if settings.method == UNEDITED:
            if any(_same(settings, other) for other in unedited):
                continue
            unedited.append(settings)
        number = sum(one.header.settings.name == settings.name for one in named.values()) + 1
        name = settings.name if number == 1 else f"{settings.name} ({number})"
        named[name] = Run(name, run.header, run.results)
    return sorted(named.values(), key=_place)


def _place(run: Run) -> tuple[bool, int, str, int, str]:
    """Where a run stands among others."""
    method = run.header.settings.method
    families: list[str] = [*METHOD_FAMILIES]
    family = families.index(run.family) if run.family in families else len(families)
    return method != UNEDITED, family, method, run.at_once, run.name


def by_family(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs in their order, those of a family together."""
    return [(family, list(of)) for family, of in groupby(runs, key=lambda run: run.family)]


def split(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs that are compared first, and those that show what several edits at once do.

    The first are those with the fewest edits at once. Of the second there are none unless numbers differ;
    with them are methods that make single edits only, by a name that says so.
    """
    edited = [run for run in runs if run.header.settings.method != UNEDITED]
    numbers = {run.at_once for run in edited}
    fewest = min(numbers, default=1)
    first = [run for run in runs if run.header.settings.method == UNEDITED or run.at_once == fewest]
    if len(numbers) < 2:
        return first, []
    several = {run.header.settings.method for run in edited if run.at_once > 1}
    shown = [
        replace(run, name=f"{run.name} (single)") if run.single else run
        for run in edited
        if run.header.settings.method in several or run.single
    ]
    return first, shown


def _same(one: Settings, other: Settings) -> bool:
    first, second = (
        (settings.model_digest, settings.dataset_digest, settings.prompts, settings.split)
        for settings in (one, other)
    )
    return first == second
