"""An experiment from end to end: load, learn, judge every edit under every method, write results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from editors.fitting import Fit
from evaluation.data.cases import Case
from evaluation.data.dataset import load_cases
from evaluation.data.miniature import ensure_built
from evaluation.data.pictures import check_there
from evaluation.run.attempts import Attempts, Settled
from evaluation.run.bars import Progress
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment
from evaluation.run.loading import load_editors, load_model
from evaluation.run.orders import Judges
from evaluation.run.room import GROUP
from evaluation.run.runs import Runs
from evaluation.run.served import check_served
from evaluation.run.streams.runs import Streams
from mmedit_build.console import Advance, log_to
from mmedit_build.engine.base import Engine
from mmedit_build.engine.local import HERE
from mmedit_build.rows import TASKS
from mmedit_build.storage.addresses import own_place
from mmedit_build.store import IDLE, check_writable, sweep

LOG = "log.txt"
"""Of what was done, in the folder of the results."""


def evaluate(experiment: Experiment, progress: Progress, engine: Engine = HERE) -> Settled[Path]:
    """Run the experiment with each of its seeds, or go on with it; the folders of its results, the unedited
    model's first.

    A method that cannot run is told at the end, when the others have their results.
    """
    check_served(experiment)
    attempts = Attempts[Path]()
    for one, shown in _of_each_seed(experiment, progress):
        _evaluate(one, shown, engine, attempts)
    return attempts.settled()


def _of_each_seed(experiment: Experiment, progress: Progress) -> Iterator[tuple[Experiment, Progress]]:
    """The experiments of its seeds, with progress that says of which seed it is, if there are several."""
    for one in experiment.of_each_seed():

        def shown(label: str, total: int | None, seed: int = one.seed) -> AbstractContextManager[Advance]:
            return progress(f"seed {seed}, {label}", total)

        yield one, shown if experiment.seeds else progress


def _evaluate(experiment: Experiment, progress: Progress, engine: Engine, attempts: Attempts[Path]) -> None:
    editors = load_editors(experiment)
    check_writable(experiment.out)
    ensure_built(experiment.dataset)
    cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
    check_there(experiment.dataset, [case.image for case in cases])
    of_task = {task: [case for case in cases if case.task == task] for task in TASKS}
    with engine.crew(Judges(experiment, cases), _most_workers(experiment, of_task.values())) as crew:
        runs = [
            Runs(experiment, task, found, editors, crew, progress) for task, found in of_task.items() if found
        ]
        # Nothing is written before it is known what is refused: such a command leaves all as it was.
        ways: list[Runs | Streams] = [Streams(one) if experiment.stream else one for one in runs]
        accepted = [(one, way, way.accepted(editors, attempts)) for one, way in zip(runs, ways, strict=True)]
        judged = [(one, way, wanted) for one, way, wanted in accepted if wanted or not editors]
        if judged:
            _sweep(experiment)
            with log_to(experiment.out / LOG):
                for one, way, wanted in judged:
                    _judge_all(one, way, wanted, attempts)


def _most_workers(experiment: Experiment, of_tasks: Iterable[Sequence[Case]]) -> int:
    """How many workers have something to do at all."""
    edits = max(len(cases[: experiment.limit]) for cases in of_tasks)
    groups = -(-edits // GROUP)
    return max(1, groups, experiment.orders if experiment.stream else 0)


def _sweep(experiment: Experiment) -> None:
    """Remove what commands that were killed left half written; others may be at work in the same folders."""
    folders = [experiment.cache / name for name in ("unedited", "fitted")]
    folders.append(own_place(experiment.cache / "features"))
    for folder in (*folders, *(experiment.out / task for task in TASKS)):
        sweep(folder, idle=IDLE)
    # What else lies in this folder is the user's, so no look is taken deeper into it.
    sweep(experiment.out, idle=IDLE, deep=False)


def _judge_all(
    runs: Runs, way: Runs | Streams, wanted: Sequence[tuple[str, int]], attempts: Attempts[Path]
) -> None:
    """The unedited model and the methods, each with so many edits at once, on one task."""
    if way is runs:
        # Streams have groups of their own.
        runs.shared = tuple(name for name, at_once in wanted if at_once == 1)
    attempts.done.append(runs.unedited())
    for name, at_once in wanted:
        with attempts.at(name, runs.task):
            attempts.done.append(way.judge(name, at_once))


def fit(experiment: Experiment, progress: Progress) -> Settled[Fit]:
    """Let the experiment's methods learn what they have not learned yet."""
    load_editors(experiment)
    ensure_built(experiment.dataset)
    train = load_cases(experiment.dataset, experiment.task, "train", experiment.images)
    mllm = load_model(experiment)
    attempts = Attempts[Fit]()
    for one, shown in _of_each_seed(experiment, progress):
        editors = load_editors(one)
        for task in dict.fromkeys(case.task for case in train):
            bench = Bench(one, mllm, task, [], shown)
            for name, editor in editors.items():
                with attempts.at(name, task):
                    done = bench.fit(name, editor)
                    attempts.done += [] if done is None else [done]
    return attempts.settled()
