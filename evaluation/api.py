"""Evaluating from Python: what `mmedit-eval` does, with results as objects and as frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from editors.base import TrainEdit
from evaluation.actions import experiment_of
from evaluation.data.dataset import load_cases
from evaluation.data.probes import train_edit
from evaluation.report.flat import flat_table
from evaluation.report.numbers import SCORE_COLUMNS, score_rows
from evaluation.report.runs import Run, find_runs
from evaluation.report.seeds import CSV_COLUMNS as SEED_COLUMNS
from evaluation.report.seeds import csv_rows
from evaluation.run.evaluate import evaluate as run_experiment
from mmedit_build.console import progress
from mmedit_build.mllm import MLLM
from mmedit_build.places import place
from mmedit_build.rows import Task
from mmedit_build.storage.session import session

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """All results in some folders, the unedited model's first."""

    runs: Mapping[Task, Sequence[Run]]

    @classmethod
    def read(cls, *folders: str | Path) -> Results:
        """What `mmedit-eval` wrote."""
        with session():
            return cls(find_runs([place(folder) for folder in folders]))

    def scores(self) -> pd.DataFrame:
        """Means with their intervals: a row for each task, method and measure."""
        # Imported here, as who wants the runs alone need not wait for it.
        import pandas as pd

        rows = score_rows({task: list(of_task) for task, of_task in self.runs.items()})
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))

    def seeds(self) -> pd.DataFrame:
        """Means of what was run with several seeds, with their standard deviations between seeds."""
        import pandas as pd

        rows = [row for task, of_task in self.runs.items() for row in csv_rows(task, of_task)]
        return pd.DataFrame(rows, columns=list(SEED_COLUMNS))

    def probes(self) -> pd.DataFrame:
        """Everything that was asked and answered: a row for each probe of each edit of each method."""
        tables = [flat_table(run) for of_task in self.runs.values() for run in of_task]
        return pa.concat_tables(tables, promote_options="default").to_pandas()


def evaluate(methods: str, **fields: Any) -> Results:
    """Judge methods: a name, a comma list or `all`, or `my_module:MyEditor`.

    `fields` are those of an experiment file, such as model, dataset, task, limit, out and cache. A call goes
    on where one stopped. A UserError is raised at the end if a method could not run; what the others came to
    is there.
    """
    with session():
        experiment = experiment_of(methods, None, fields)
        settled = run_experiment(experiment, progress)
        if settled.failed is not None:
            raise settled.failed
        return Results.read(experiment.out)


def train_edits(model: MLLM, dataset: str, task: Task = "vqa") -> list[TrainEdit]:
    """The train split of a dataset, for methods that learn."""
    return list(_train_edits(model, dataset, task))


def _train_edits(model: MLLM, dataset: str, task: Task) -> Iterator[TrainEdit]:
    for case in load_cases(dataset, task, "train", None):
        yield train_edit(case, model, "family")
