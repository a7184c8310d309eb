"""The command that puts an editor to the checks of its contract and to the swap test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Column, Table
from rich.text import Text

from editors.base import Editor
from editors.checking.duties import Checked, Trial, check
from evaluation.data.cases import Case
from evaluation.data.dataset import load_cases
from evaluation.data.miniature import built_elsewhere, ensure_built
from evaluation.data.pictures import check_there
from evaluation.data.probes import ask_all, edit_of
from evaluation.run.bars import Progress
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment
from evaluation.run.loading import load_editors, load_model
from mmedit_build.errors import UserError, shortened
from mmedit_build.rows import TASKS


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of all duties for each edit that the editor made, and why it refused others."""

    found: dict[str, list[Checked]]
    refused: dict[str, str]

    @property
    def failed(self) -> bool:
        return any(one.failure is not None for of in self.found.values() for one in of)


def check_method(experiment: Experiment, progress: Progress) -> Tried:
    """Try the one method of the experiment on the first edits of each task."""
    if len(experiment.methods) != 1:
        raise UserError(f"Name one method to check, not {', '.join(experiment.methods)}.")
    (name,) = experiment.methods
    editor = load_editors(experiment)[name]
    # Nothing of a check is kept, so any that is built will do.
    experiment = experiment.model_copy(update={"dataset": built_elsewhere(experiment.dataset)})
    ensure_built(experiment.dataset)
    cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
    mllm = load_model(experiment)
    tried = Tried({}, {})
    for task in TASKS:
        of_task = [case for case in cases if case.task == task]
        bench = Bench(experiment, mllm, task, of_task, progress)
        check_there(experiment.dataset, [case.image for case in bench.wanted])
        if of_task:
            bench.fit(name, editor)
            _try(bench, editor, name, tried)
    if not tried.found:
        raise UserError(f"{name} could make none of the edits: {next(iter(tried.refused.values()))}")
    return tried


def _try(bench: Bench, editor: Editor, name: str, tried: Tried) -> None:
    with bench.progress(f"{bench.task}: checking {name}", len(bench.wanted)) as advance:
        for number, case in enumerate(bench.wanted):
            try:
                tried.found[case.id] = check(_trial(bench, editor, case, bench.cases[number + 1 :][:1]))
            except UserError as error:
                tried.refused[case.id] = shortened(str(error))
            advance(1)


def _trial(bench: Bench, editor: Editor, case: Case, others: Sequence[Case]) -> Trial:
    mllm, prompts = bench.mllm, bench.experiment.prompts
    edit, *more = (edit_of(one, mllm, prompts) for one in (case, *others))
    probes = [asked.query for asked in ask_all(case, mllm, prompts)]
    return Trial(mllm, editor, edit, probes, more, bench.experiment.seed)


def table(name: str, tried: Tried) -> Table:
    """Each duty in a line, and whether it was kept for all edits."""
    drawn = Table("duty", Column("kept", no_wrap=True), title=f"{name}: what every editor has to keep to")
    for duty, failures in _by_duty(tried).items():
        number = sum(failure is not None for failure in failures)
        drawn.add_row(duty, f"no, {number} of {len(failures)} edits" if number else "yes")
    drawn.caption = Text(f"Tried on {', '.join(tried.found)}.")
    return drawn


def sentences(tried: Tried) -> list[str]:
    """How each duty was failed first, and why edits were refused."""
    first = {duty: next(filter(None, failures), None) for duty, failures in _by_duty(tried).items()}
    return [
        *(f"Not kept: {duty}. {failure}" for duty, failure in first.items() if failure is not None),
        *(f"{edit} was refused: {why}" for edit, why in tried.refused.items()),
    ]


def _by_duty(tried: Tried) -> dict[str, list[str | None]]:
    duties: dict[str, list[str | None]] = {}
    for of in tried.found.values():
        for one in of:
            duties.setdefault(one.duty, []).append(one.failure)
    return duties
