"""What a language model said of free answers, and how far matching them with their targets agrees with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from evaluation.drawing.markup import Html, join, tag
from evaluation.report.board import Board
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table, as_html, by_run, cell
from evaluation.report.runs import Run
from evaluation.results.agreement import kappa, pairs, shares
from evaluation.results.stored import Summed
from evaluation.results.summary import (
    Estimate,
    Measure,
    Results,
    estimate,
    estimated,
    headline,
    images_of,
)
from evaluation.results.verdicts import AGREEMENT, MATCH, Said, as_judged, judged_key, judged_of
from mmedit_build.rows import Task

COMPARED = ("agreement", "kappa", "judged", "missing")
CSV_COLUMNS = ("task", "method", "judge", "prompt", "column", "mean", "low", "high", "edits", "images")


def judged_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each judge, of the runs that it judged."""
    return [_table(task, *by, of) for by, of in _by_judge(runs).items()]


def judged(board: Board) -> Html:
    """The tables for a page; nothing where no answer was judged."""
    tables = judged_tables(board.task, board.runs)
    if not tables:
        return Html()
    parts = [tag("h3", "Judged by a language model")]
    for table in tables:
        parts += [tag("p", table.note, class_="lead"), as_html(table, table.title)]
    return join(parts)


def csv_rows(runs: dict[Task, list[Run]]) -> Iterator[Sequence[object]]:
    """Every judged number, and the agreement."""
    for task, of_task in runs.items():
        for (judge, prompt), shown in _by_judge(of_task).items():
            columns = _columns(task, map(_summed, shown))
            for run in shown:
                place = (task, run.name, judge, prompt)
                results = _summed(run)
                found = {title: estimated(results, of) for title, of in columns.items()}
                for title, one in (*found.items(), ("agreement", _agreement(run))):
                    if one is not None:
                        numbers = (round(number, 6) for number in (one.mean, one.low, one.high))
                        yield (*place, title, *numbers, one.edits, one.images)


def _by_judge(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """The runs that have verdicts, by judge and prompt."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for by in dict.fromkeys((one.judge, one.prompt) for one in run.verdicts):
            of = [one for one in run.verdicts if (one.judge, one.prompt) == by]
            found.setdefault(by, []).append(replace(run, verdicts=of))
    return found


def _table(task: Task, judge: str, prompt: str, runs: Sequence[Run]) -> Table:
    results = [_summed(run) for run in runs]
    columns = _columns(task, results)
    rows = tuple(_row(run, of, columns) for run, of in zip(runs, results, strict=True))
    note = (
        f"Shares of free answers that {judge} calls right (prompt {prompt}), in percent with 95% intervals. "
        "Agreement is the share of an edit's judged answers of which matching with the target says the same, "
        "as a mean over edits, kappa (Cohen's, over all answers alike) what is not chance. What has no clear "
        "verdict is missing and counts for nothing."
    )
    title = f"{TASK_TITLES[task]}, wild protocol, judged by {judge}"
    keys = {column: judged_key(of.key) for column, of in columns.items()}
    keys |= {"agreement": AGREEMENT, "kappa": AGREEMENT}
    return Table(title, ("method", *columns, *COMPARED), rows, note, cases=by_run(runs, keys))


def _summed(run: Run) -> Results:
    return Summed.of(as_judged(run.results, run.verdicts))


def _columns(task: Task, results: Iterable[Results]) -> dict[str, Measure]:
    known = {of for one in results for of in one.scores}
    return {title: of for title, of in headline(task, "wild").items() if of in known}


def _row(run: Run, results: Results, columns: dict[str, Measure]) -> tuple[str, ...]:
    found = [pair for of in pairs(run.results, run.verdicts).values() for pair in of]
    beyond = kappa(found)
    asked = sum(said is not None for said in _asked(run))
    return (
        run.name,
        *(cell(estimated(results, of), of) for of in columns.values()),
        cell(_agreement(run), Measure("wild", "reliability", MATCH)),
        NO_VALUE if beyond is None else f"{beyond:.2f}",
        f"{len(found):,}",
        f"{asked - len(found):,}",
    )


def _agreement(run: Run) -> Estimate | None:
    """The share of an edit's judged answers on which judge and match agree, over edits."""
    return estimate(shares(pairs(run.results, run.verdicts)), images_of(run.results), share=True)


def _asked(run: Run) -> Iterator[Said | None]:
    return (judged_of(result.task, probe) for result in run.results for probe in result.probes)
