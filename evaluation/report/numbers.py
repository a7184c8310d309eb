"""Every number of a report as rows of CSV files, and so of frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from evaluation.report.runs import Run
from evaluation.report.seeds import comparable
from evaluation.results.batches import differences, estimates
from evaluation.results.summary import Estimate, Measure, Results, together
from mmedit_build.rows import Task

SCORE_COLUMNS = (
    *("task", "method", "protocol", "kind", "relation", "metric", "question_type"),
    *("mean", "low", "high", "edits", "images"),
)
DIFFERENCE_COLUMNS = (
    *("task", "method", "minus", "protocol", "kind", "relation", "metric"),
    *("mean", "low", "high", "edits", "images"),
)


def as_csv(columns: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def score_rows(runs: dict[Task, list[Run]]) -> Iterator[Sequence[object]]:
    """Every measure of every method, over all edits and for each type of question."""
    for task, of_task in runs.items():
        for run, found in zip(of_task, _by_type([together(run.results) for run in of_task]), strict=True):
            for of in found["all"]:
                for name in found:
                    if of in found[name]:
                        yield (task, run.name, *_place(of), name, *_numbers(found[name][of]))


def _by_type(known: Sequence[Results]) -> list[dict[str, dict[Measure, Estimate]]]:
    """The estimates of each run, of all edits and of each type of question.

    Type by type, as the images that are drawn for a type of one run are those for others.
    """
    groups = [{"all": results, **results.by_type} for results in known]
    found: list[dict[str, dict[Measure, Estimate]]] = [{} for _ in groups]
    for name in dict.fromkeys(name for of_run in groups for name in of_run):
        for of_run, done in zip(groups, found, strict=True):
            if (of := of_run.get(name)) is not None:
                done[name] = estimates(of.scores, [one.image_id for one in of.outlines], differ=False)
    return found


def difference_rows(runs: dict[Task, list[Run]]) -> Iterator[Sequence[object]]:
    """Every two methods compared on the edits that both have.

    Edits of other datasets may have the same ids, but are not the same. Of several seeds, runs of the same
    one are compared.
    """
    for task, of_task in runs.items():
        known = [together(run.results) for run in of_task]
        digests = [run.header.settings.dataset_digest for run in of_task]
        for i, j in (pair for pair in comparable(of_task) if digests[pair[0]] == digests[pair[1]]):
            for of, found in differences(known[i], known[j]).items():
                yield (task, of_task[i].name, of_task[j].name, *_place(of), *_numbers(found))


def _place(of: Measure) -> tuple[str, ...]:
    return of.protocol, of.kind, of.relation or "", of.metric


def _numbers(found: Estimate) -> tuple[object, ...]:
    return (*(round(one, 6) for one in (found.mean, found.low, found.high)), found.edits, found.images)
