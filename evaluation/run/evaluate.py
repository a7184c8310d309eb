"""An experiment from end to end: load, learn, judge every edit under every method, write results."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from editors import make_editor
from editors.base import Editor
from editors.fitting import Fit
from evaluation.data.dataset import load_cases
from evaluation.data.miniature import ensure_built
from evaluation.data.pictures import check_there
from evaluation.run.attempts import Attempts, Settled
from evaluation.run.bench import Bench, Progress
from evaluation.run.experiment import Experiment, Method
from evaluation.run.lifting import States, shared_layer
from evaluation.run.room import room
from evaluation.run.streams.bench import Streams
from mmedit_build.checkpoints import locate
from mmedit_build.console import log_to
from mmedit_build.mllm import MLLM
from mmedit_build.rows import TASKS
from mmedit_build.store import IDLE, check_writable, sweep

SMALL = 10**8
"""Parameters of a model whose steps are so short that a second thread only makes them wait for each other."""
THREADS = "OMP_NUM_THREADS"
"""Where users say how many threads they want."""
LOG = "log.txt"
"""Of what was done, in the folder of the results."""


def load_editors(experiment: Experiment) -> dict[str, Editor]:
    """The editors of the methods; mistakes in their names and options are told before any work."""
    return {name: _editor(name, method, experiment.seed) for name, method in experiment.methods.items()}


def _editor(name: str, method: Method, seed: int) -> Editor:
    """An editor that draws by this seed, if it draws at all and its options name no seed of its own."""
    found = method.editor_class(name)
    drawing = {"seed": seed} if "seed" in found.Config.model_fields else {}
    return make_editor(method.editor or name, found, drawing | method.options)


def evaluate(experiment: Experiment, progress: Progress) -> Settled[Path]:
    """Run the experiment, or go on with it; the folders of its results, the unedited model's first.

    A method that cannot run is told at the end, when the others have their results.
    """
    editors = load_editors(experiment)
    check_writable(experiment.out)
    ensure_built(experiment.dataset)
    cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
    check_there(experiment.dataset, [case.image for case in cases])
    mllm = load_model(experiment)
    attempts = Attempts[Path]()
    of_task = {task: [case for case in cases if case.task == task] for task in TASKS}
    benches = [Bench(experiment, mllm, task, found, progress) for task, found in of_task.items() if found]
    # Nothing is written before it is known what is refused: such a command leaves all as it was.
    ways: list[Bench | Streams] = [Streams(bench) if experiment.stream else bench for bench in benches]
    accepted = [
        (bench, way, way.accepted(editors, attempts)) for bench, way in zip(benches, ways, strict=True)
    ]
    judged = [(bench, way, wanted) for bench, way, wanted in accepted if wanted or not editors]
    if judged:
        _sweep(experiment)
        with log_to(experiment.out / LOG):
            for bench, way, wanted in judged:
                _judge_all(bench, way, editors, wanted, attempts)
    return attempts.settled()


def _sweep(experiment: Experiment) -> None:
    """Remove what commands that were killed left half written; others may be at work in the same folders."""
    folders = [experiment.cache / name for name in ("unedited", "fitted")]
    for folder in (*folders, *(experiment.out / task for task in TASKS)):
        sweep(folder, idle=IDLE)
    # What else lies in this folder is the user's, so no look is taken deeper into it.
    sweep(experiment.out, idle=IDLE, deep=False)


def _judge_all(
    bench: Bench,
    way: Bench | Streams,
    editors: Mapping[str, Editor],
    wanted: Sequence[tuple[str, int]],
    attempts: Attempts[Path],
) -> None:
    """The unedited model and the methods, each with so many edits at once, on one task."""
    if way is bench:
        # Streams have groups of their own.
        single = [editors[name] for name, at_once in wanted if at_once == 1]
        bench.states = States(shared_layer(single, bench.mllm), room(bench.mllm.device))
    attempts.done.append(bench.unedited())
    for name, at_once in wanted:
        with attempts.at(name, bench.task):
            attempts.done.append(way.judge(name, editors[name], at_once))
    bench.states.clear()


def fit(experiment: Experiment, progress: Progress) -> Settled[Fit]:
    """Let the experiment's methods learn what they have not learned yet."""
    editors = load_editors(experiment)
    ensure_built(experiment.dataset)
    train = load_cases(experiment.dataset, experiment.task, "train", experiment.images)
    mllm = load_model(experiment)
    attempts = Attempts[Fit]()
    for task in dict.fromkeys(case.task for case in train):
        bench = Bench(experiment, mllm, task, [], progress)
        for name, editor in editors.items():
            with attempts.at(name, task):
                done = bench.fit(name, editor)
                attempts.done += [] if done is None else [done]
    return attempts.settled()


def load_model(experiment: Experiment) -> MLLM:
    """The experiment's model, unedited."""
    mllm = MLLM.load(
        locate(experiment.model),
        revision=experiment.revision,
        device=experiment.device,
        dtype=experiment.dtype,
        template=experiment.rendering,
        image_processor=experiment.image_processor,
    )
    size = sum(parameter.numel() for parameter in mllm.model.parameters())
    if size < SMALL and THREADS not in os.environ:
        torch.set_num_threads(1)
    return mllm
