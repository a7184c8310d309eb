"""Tables of results: for people as Markdown, for papers as LaTeX, and files of every number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.columns import AT_ONCE, columns_of
from evaluation.report.distances import distance_tables
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table, as_markdown, cell, meaning, on_edits
from evaluation.report.hops import hop_tables
from evaluation.report.judged import CSV_COLUMNS as JUDGED_COLUMNS
from evaluation.report.judged import csv_rows as judged_rows
from evaluation.report.judged import judged_tables
from evaluation.report.latex import PREAMBLE, latex, paper_tables
from evaluation.report.localities import locality_tables
from evaluation.report.models import model_tables
from evaluation.report.numbers import (
    DIFFERENCE_COLUMNS,
    SCORE_COLUMNS,
    as_csv,
    difference_rows,
    score_rows,
)
from evaluation.report.overview import overview_table
from evaluation.report.preset_tables import CSV_COLUMNS as PRESET_CSV_COLUMNS
from evaluation.report.preset_tables import preset_csv_rows, preset_tables
from evaluation.report.runs import SANITY, Run, notes, split
from evaluation.report.seeds import CSV_COLUMNS as SEED_COLUMNS
from evaluation.report.seeds import csv_rows as seed_rows
from evaluation.report.seeds import seed_tables
from evaluation.report.stream_seeds import CSV_COLUMNS as STREAM_SEED_COLUMNS
from evaluation.report.stream_seeds import csv_rows as stream_seed_rows
from evaluation.report.stream_seeds import stream_seed_tables
from evaluation.report.stream_tables import CSV_COLUMNS, StreamRun, csv_rows, stream_tables
from evaluation.results.summary import (
    Estimate,
    Measure,
    by_question_type,
    estimated,
    together,
)
from mmedit_build.rows import Task
from mmedit_build.store import write_atomic

TOGETHER = (seed_tables, model_tables)
"""Make tables of a task whose rows are of several runs."""


def write_tables(
    runs: dict[Task, list[Run]],
    folder: Path,
    streams: Mapping[Task, Sequence[StreamRun]] = MappingProxyType({}),
) -> list[Path]:
    """Write all tables of all tasks into a folder."""
    overviews = [overview_table(task, of_task) for task, of_task in runs.items()]
    texts = {
        "tables.md": markdown(runs, streams),
        "tables.tex": "\n".join(
            [PREAMBLE, *_papers(runs), *map(latex, [*_whole(runs, streams), *overviews])]
        ),
    }
    if runs:
        texts["scores.csv"] = as_csv(SCORE_COLUMNS, score_rows(runs))
        texts["differences.csv"] = as_csv(DIFFERENCE_COLUMNS, difference_rows(runs))
    if seeds := [row for task, of_task in runs.items() for row in seed_rows(task, of_task)]:
        texts["seeds.csv"] = as_csv(SEED_COLUMNS, iter(seeds))
    if any(run.verdicts for of_task in runs.values() for run in of_task):
        texts["judged.csv"] = as_csv(JUDGED_COLUMNS, judged_rows(runs))
    for name, columns, rows in (
        ("streams.csv", CSV_COLUMNS, list(csv_rows(streams))),
        ("stream-seeds.csv", STREAM_SEED_COLUMNS, list(stream_seed_rows(streams))),
        ("presets.csv", PRESET_CSV_COLUMNS, list(preset_csv_rows(streams))),
    ):
        if rows:
            texts[name] = as_csv(columns, iter(rows))
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in texts]


def _whole(runs: dict[Task, list[Run]], streams: Mapping[Task, Sequence[StreamRun]]) -> list[Table]:
    """Tables that people and papers both get; what takes runs together comes first."""
    together = [table for task, of_task in runs.items() for make in TOGETHER for table in make(task, of_task)]
    apart = [*main_tables(runs), *_near_and_far(runs), *_judged(runs), *_of_streams(streams)]
    return [*together, *apart]


def main_tables(runs: dict[Task, list[Run]]) -> list[Table]:
    """One table for each task and protocol, in the layout of MMEdit's Table 2."""
    return [
        main_table(task, protocol, shown, kind)
        for task, of_task in runs.items()
        for kind, shown in zip(("", AT_ONCE), split(of_task), strict=True)
        for protocol in PROTOCOLS
        if any(protocol in run.header.settings.protocols for run in shown)
    ]


def main_table(task: Task, protocol: ProtocolName, runs: Sequence[Run], kind: str = "") -> Table:
    """Means in percent with their intervals; one row a method."""
    columns = columns_of(task, protocol, runs)
    rows = [(run.name, *(cell(_of(run, of), of) for of in columns.values())) for run in runs]
    several = " One patch makes as many edits as follow the @." if kind else ""
    asked = on_edits({run.name: [run] for run in runs})
    note = f"{meaning(columns)}. In percent, with 95% intervals. {asked}{several}"
    title = f"{TASK_TITLES[task]}{kind}, {protocol} protocol"
    return Table(title, ("method", *columns), tuple(rows), note)


def _papers(runs: dict[Task, list[Run]]) -> Iterator[str]:
    """The means of single edits as papers show them."""
    shown = {task: split(of_task)[0] for task, of_task in runs.items()}
    for protocol in PROTOCOLS:
        asked = {
            task: [
                run for run in of_task if protocol in run.header.settings.protocols and run.family != SANITY
            ]
            for task, of_task in shown.items()
        }
        columns = {task: columns_of(task, protocol, of_task) for task, of_task in asked.items() if of_task}
        if columns:
            yield from paper_tables(asked, columns)


def _near_and_far(runs: dict[Task, list[Run]]) -> list[Table]:
    """What is asked near the edit and far from it: portability by hop, locality by kind and by distance."""
    makers = (hop_tables, locality_tables, distance_tables)
    return [
        table for task, of_task in runs.items() for make in makers for table in make(task, split(of_task)[0])
    ]


def _judged(runs: dict[Task, list[Run]]) -> list[Table]:
    return [table for task, of_task in runs.items() for table in judged_tables(task, of_task)]


def type_tables(task: Task, protocol: ProtocolName, runs: Sequence[Run]) -> list[Table]:
    """Reliability and generality of each type of question, where there are several."""
    types = list(dict.fromkeys(name for run in runs for name in by_question_type(run.results)))
    if len(types) < 2:
        return []
    tables = []
    for title, of in columns_of(task, protocol, runs).items():
        rows = [(run.name, *(cell(_of(run, of, name), of) for name in types)) for run in runs]
        tables.append(
            Table(
                f"{TASK_TITLES[task]}, {protocol}: {title} by question type", ("method", *types), tuple(rows)
            )
        )
    return tables


def cost_table(task: Task, runs: Sequence[Run]) -> Table:
    """What each method took, and how many edits it was judged on."""
    header = ("method", "edits", "skipped", "fit (s)", "edit (s)", "probe (s)", "peak (MB)", "changed")
    return Table(f"{TASK_TITLES[task]}: cost", header, tuple(_costs(run) for run in runs))


def _costs(run: Run) -> tuple[str, ...]:
    results = together(run.results)
    scored = [result for result in results.outlines if result.scored]
    asked = zip(results.outlines, results.probes, strict=True)
    number, probes = max(1, len(scored)), max(1, sum(of for result, of in asked if result.scored))
    header = run.header
    return (
        run.name,
        str(len(scored)),
        str(len(run.results) - len(scored)),
        NO_VALUE if header.fit_seconds is None else f"{header.fit_seconds:.1f}",
        _seconds(sum(result.plan_seconds for result in scored) / number, 3),
        _seconds(sum(result.probe_seconds for result in scored) / probes, 4),
        f"{header.peak_bytes / 1e6:.0f}" if header.peak_bytes else NO_VALUE,
        f"{max((result.changed for result in scored), default=0):,}",
    )


def _seconds(seconds: float, digits: int) -> str:
    """Nothing of what takes no time at all: the unedited model is not asked for each edit."""
    return f"{seconds:.{digits}f}" if seconds else NO_VALUE


def _of_streams(streams: Mapping[Task, Sequence[StreamRun]]) -> list[Table]:
    return [*stream_seed_tables(streams), *stream_tables(streams), *preset_tables(streams)]


def markdown(
    runs: dict[Task, list[Run]], streams: Mapping[Task, Sequence[StreamRun]] = MappingProxyType({})
) -> str:
    """All tables for people."""
    tables = _whole(runs, streams)
    for task, of_task in runs.items():
        for protocol in PROTOCOLS:
            tables += type_tables(task, protocol, split(of_task)[0])
        tables += [overview_table(task, of_task), cost_table(task, of_task)]
    texts = "\n".join(as_markdown(table) for table in tables)
    return f"# Results\n\n{texts}{_skips(runs)}{_notes(runs)}"


def _skips(runs: dict[Task, list[Run]]) -> str:
    lines = [
        f"- {TASK_TITLES[task]}, {run.name}: {number} skipped because: {reason}"
        for task, of_task in runs.items()
        for run in of_task
        for reason, number in run.header.skipped.items()
    ]
    return "\n## Skipped edits\n\n" + "\n".join(lines) + "\n" if lines else ""


def _notes(runs: dict[Task, list[Run]]) -> str:
    lines = [f"- {TASK_TITLES[task]}, {note}" for task, of_task in runs.items() for note in notes(of_task)]
    return "\n## Notes\n\n" + "\n".join(lines) + "\n" if lines else ""


def _of(run: Run, measure: Measure, question_type: str | None = None) -> Estimate | None:
    if question_type is None:
        return estimated(run.results, measure)
    return estimated(by_question_type(run.results).get(question_type, ()), measure)
