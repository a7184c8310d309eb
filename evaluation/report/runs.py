"""The results that a report is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from editors.families import METHOD_FAMILIES
from evaluation.report.names import names, setup_names
from evaluation.results.differences import differences
from evaluation.results.records import HEADER, CaseResult, RunResult, Settings
from evaluation.results.stored import stored_results
from evaluation.results.streams import STREAM
from evaluation.results.summary import outlines
from evaluation.results.verdicts import Verdict, verdict_lines
from evaluation.run.experiment import UNEDITED
from evaluation.tracing.records import find_traces
from mmedit_build.errors import UserError
from mmedit_build.rows import TASKS, Task

SINGLE = " (single)"
"""What the names of methods that make one edit at a time end with, among those that make several."""


SANITY = "sanity"
"""The family of methods that test the evaluation."""


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one task."""

    name: str
    header: RunResult
    results: Sequence[CaseResult]
    folders: tuple[Path, ...] = ()
    """Where it was found: several that hold the very same run are shown as one."""
    verdicts: Sequence[Verdict] = ()
    """What a language model said of its answers."""
    seeds: tuple[Run, ...] = ()
    """The runs that its numbers are the means of, where they differ in their seeds alone."""

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
    def whole(self) -> bool:
        """Whether the method is known to make all edits at once, and nothing else."""
        return self.header.about is not None and self.header.about.whole

    @property
    def family(self) -> str:
        """That of the method; empty where it is not known."""
        return "" if self.header.about is None else self.header.about.family


def find_runs(folders: Sequence[Path]) -> dict[Task, list[Run]]:
    """All results below some folders by task, the unedited model's first and the others by their families."""
    runs = runs_in(folders)
    if not runs:
        raise nothing(folders, "of single edits or several at once ")
    return runs


def runs_in(folders: Sequence[Path]) -> dict[Task, list[Run]]:
    """The same where there may be streams alone."""
    # The same folder may be named in several ways.
    found = {path.parent.resolve(): path.parent for path in _headers(folders)}
    runs = [
        Run("", header, results, (folder,), verdict_lines(folder).read())
        for folder in sorted(found.values())
        for header, results in [stored_results(folder)]
    ]
    # One that has only begun, or could not be, has nothing to show.
    runs = [run for run in runs if run.results]
    return {task: of_task for task in TASKS if (of_task := _named([run for run in runs if run.task == task]))}


def _headers(folders: Sequence[Path]) -> Iterator[Path]:
    """Where runs are noted; a folder without any, and without streams and traces, was given by mistake."""
    for folder in folders:
        headers = list(folder.rglob(HEADER))
        if not headers and not any(folder.rglob(STREAM)) and not find_traces([folder]):
            raise nothing([folder])
        yield from headers


def nothing(folders: Sequence[Path], of: str = "") -> UserError:
    """What is said of folders without results, or without those of a kind."""
    return UserError(
        f"There are no results {of}in {', '.join(map(str, folders))}; give folders that mmedit-eval wrote."
    )


def notes(runs: Sequence[Run]) -> list[str]:
    """Which runs were found more than once, and which are of methods that are shown the answers."""
    # The unedited model is judged along with every method.
    several = [run for run in runs if len(run.folders) > 1 and run.header.settings.method != UNEDITED]
    return [
        *(
            f"{run.name}: {' and '.join(map(str, run.folders))} hold the very same run, which is shown once."
            for run in several
        ),
        *(
            f"{run.name}: it goes by the answers that are scored, as published code does, and fails the swap "
            "test of mmedit-eval check; its scores are no measure of editing."
            for run in runs
            if run.header.about is not None and run.header.about.leaks
        ),
    ]


def _named(runs: Sequence[Run]) -> list[Run]:
    """The runs of a task, each once, by names that tell them apart."""
    kept: list[Run] = []
    # What has most is taken first, as others may hold a part of it.
    for run in sorted(runs, key=lambda run: (-len(run.header.settings.protocols), -len(run.results))):
        place = next((place for place, one in enumerate(kept) if _holds(one, run)), None)
        if place is None:
            kept.append(run)
        else:
            one = kept[place]
            verdicts = (*one.verdicts, *run.verdicts)
            kept[place] = replace(one, folders=(*one.folders, *run.folders), verdicts=verdicts)
    found = names([(run.header, run.folders[0]) for run in kept])
    return sorted((replace(run, name=name) for run, name in zip(kept, found, strict=True)), key=position)


def _holds(one: Run, other: Run) -> bool:
    """Whether a run has all that another one came to."""
    if not (repeats(one.header.settings, other.header.settings) and ids_of(one) >= ids_of(other)):
        return False
    if is_unedited(one):
        return True
    # Texts of many results are not held, but what they come to.
    known = {result.id: timeless(result) for result in one.results}
    return all(known[result.id] == timeless(result) for result in other.results)


def repeats(first: Settings, second: Settings) -> bool:
    """Whether by their settings a run may have all that another one came to.

    Of the unedited model it is enough that it was asked the same; of a method the results have to be equal.
    """
    if first.method == second.method == UNEDITED:
        return _setup(first) == _setup(second) and {*first.protocols} >= {*second.protocols}
    return not any(differences(asdict(first), asdict(second)))


def ids_of(run: Run) -> frozenset[str]:
    """Of the edits that it has results of."""
    return frozenset(result.id for result in outlines(run.results))


def timeless(result: CaseResult) -> bytes:
    """A digest of all but times."""
    untimed = replace(result, plan_seconds=0.0, probe_seconds=0.0)
    return blake2b(repr(untimed).encode(errors="backslashreplace"), digest_size=16).digest()


def setup(run: Run) -> tuple[str, ...]:
    """What runs share whose edits are the same questions to the same model."""
    return _setup(run.header.settings)


def _setup(of: Settings) -> tuple[str, ...]:
    return (of.model_digest, of.dataset_digest, of.prompts, of.split)


def by_setup(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs of each model with what it is asked, and its name; without one where there is no other."""
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(setup(run), []).append(run)
    if len(found) < 2:
        return [("", list(runs))]
    titles = setup_names([of[0].header.settings for of in found.values()])
    return list(zip(titles, found.values(), strict=True))


class Called(NamedTuple):
    """The name of a run in two parts, where there are several models or things that one is asked."""

    run: str
    """What tells it from others of the same model."""
    model: str = ""


def called(runs: Sequence[Run]) -> dict[str, Called]:
    """By the names of runs."""
    found: dict[str, Called] = {}
    for title, of in by_setup(runs):
        given = names([(run.header, (*run.folders, Path())[0]) for run in of])
        short = given if title else [run.name for run in of]
        found |= {run.name: Called(name, title) for run, name in zip(of, short, strict=True)}
    return found


def is_unedited(run: Run) -> bool:
    return run.header.settings.method == UNEDITED


def competes(run: Run) -> bool:
    """Whether a run may be the best: it edits, is meant to, and is not shown the answers that are scored."""
    edits = run.header.settings.method != UNEDITED and run.family != SANITY
    return edits and not (run.header.about and run.header.about.leaks)


def position(run: Run) -> tuple[bool, int, str, int, str]:
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

    The first are those with the fewest edits at once, and those of methods that have no other number. Of the
    second there are none unless numbers differ; with them are methods that make single edits only, by a name
    that says so.
    """
    edited = [run for run in runs if run.header.settings.method != UNEDITED and not run.whole]
    numbers = {run.at_once for run in edited}
    fewest = min(numbers, default=1)
    first = [
        run for run in runs if run.header.settings.method == UNEDITED or run.whole or run.at_once == fewest
    ]
    if len(numbers) < 2:
        return first, []
    several = {run.header.settings.method for run in edited if run.at_once > 1}
    shown = [
        replace(run, name=run.name + SINGLE) if run.single else run
        for run in edited
        if run.header.settings.method in several or run.single
    ]
    return first, shown
