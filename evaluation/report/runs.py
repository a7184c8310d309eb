"""The results that a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


def find_runs(folders: Sequence[Path]) -> dict[Task, list[Run]]:
    """All results below some folders by task, the unedited model's first and the others by name."""
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
        number = sum(one.header.settings.method == settings.method for one in named.values()) + 1
        name = settings.method if number == 1 else f"{settings.method} ({number})"
        named[name] = Run(name, run.header, run.results)
    return sorted(named.values(), key=lambda run: (run.header.settings.method != UNEDITED, run.name))


def _same(one: Settings, other: Settings) -> bool:
    first, second = (
        (settings.model_digest, settings.dataset_digest, settings.prompts, settings.split)
        for settings in (one, other)
    )
    return first == second
