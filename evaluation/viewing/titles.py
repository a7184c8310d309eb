"""What runs and measures are called on the page."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.answers import RELATIONS, TITLES
from evaluation.report.board import ABOUT, NAMES
from evaluation.results.records import RunResult
from evaluation.results.summary import Measure, headline
from evaluation.results.verdicts import AGREEMENT, JUDGED, judged_key
from evaluation.run.experiment import UNEDITED
from evaluation.viewing.filling import HEADERS
from evaluation.viewing.judging import TITLE, counterpart, judged_headline
from evaluation.viewing.lists import types_of
from evaluation.viewing.streaming import streams_of
from mmedit_build.rows import TASKS

Row = dict[str, Any]
TASK_TITLES = {"vqa": "Questions", "caption": "Captions"}


def about(connection: sqlite3.Connection) -> Row:
    """All that the controls of the page offer."""
    runs = connection.execute("SELECT * FROM runs WHERE place IS NOT NULL ORDER BY place").fetchall()
    streams = {task: streams_of(connection, task) for task in TASKS}
    tasks = [task for task in TASKS if streams[task] or any(run["task"] == task for run in runs)]
    return {
        "tasks": [
            {
                **_task(connection, task, [run for run in runs if run["task"] == task]),
                "streams": streams[task],
                "unpictured": _unpictured(connection, task),
            }
            for task in tasks
        ],
        "runs": [_run(run) for run in runs],
    }


def _unpictured(connection: sqlite3.Connection, task: str) -> list[str]:
    """The datasets of which there is no picture."""
    query = (
        "SELECT DISTINCT json_extract(header, '$.settings.dataset') FROM runs WHERE place IS NOT NULL "
        "AND task = ? AND NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.dataset = runs.dataset)"
    )
    return [name for (name,) in connection.execute(query, (task,))]


def overview(connection: sqlite3.Connection, task: str) -> list[Row]:
    """The main table of each protocol: a row for each run, a column for each headline measure."""
    runs = connection.execute(
        "SELECT part, means FROM runs WHERE place IS NOT NULL AND task = ? ORDER BY place", (task,)
    ).fetchall()
    means = {run["part"]: json.loads(run["means"]) for run in runs}
    tables = [_table(task, protocol, means) for protocol in PROTOCOLS]
    judged = {title: (judged_key(of.key), of) for title, of in judged_headline(task).items()}  # type: ignore[arg-type]
    tables.append({"title": TITLE, **_columns(judged, means)})
    return [table for table in tables if table["columns"]]


def of_key(name: str) -> Measure:
    """The measure that an address names."""
    protocol, kind, one, relation = name.split(".")
    measured = "wild" if protocol == JUDGED else protocol
    return Measure(measured, kind, one, relation or None)  # type: ignore[arg-type]


def kind_title(kind: str, relation: str | None) -> str:
    """What a probe or a measure is about."""
    told = {str(name): words for name, words in RELATIONS.items()}.get(relation or "", relation)
    return TITLES[kind] + (f", {told}" if told else "")  # type: ignore[index]


def _table(task: str, protocol: Any, means: dict[int, Row]) -> Row:
    columns = {title: (of.key, of) for title, of in headline(task, protocol).items()}  # type: ignore[arg-type]
    return {"title": PROTOCOLS[protocol].title, **_columns(columns, means)}


def _columns(columns: dict[str, tuple[str, Measure]], means: dict[int, Row]) -> Row:
    """Those that any run has, and the means of the runs that have any of them."""
    known = {name for of in means.values() for name in of}
    shown = [
        {"key": key, "title": NAMES[title], "about": ABOUT[title], "metric": _metric(key, of)}
        for title, (key, of) in columns.items()
        if key in known
    ]
    keys = {one["key"] for one in shown}
    return {
        "columns": shown,
        "rows": [{"run": part, "means": of} for part, of in means.items() if keys & of.keys()],
    }


def _metric(key: str, of: Measure) -> str:
    return "judged right" if key.startswith(JUDGED) else metric(of.protocol, of.metric).title


def _task(connection: sqlite3.Connection, task: Any, runs: list[sqlite3.Row]) -> Row:
    keys = {name: None for run in runs for name in json.loads(run["keys"])}
    main = {measure.key for protocol in PROTOCOLS for measure in headline(task, protocol).values()}
    main |= {judged_key(measure.key) for measure in judged_headline(task).values()}
    return {
        "task": task,
        "title": TASK_TITLES[task],
        "types": types_of(connection, task),
        "measures": [
            {**_measure(name), "main": name in main, "compared": counterpart(name) in keys} for name in keys
        ],
    }


def _measure(name: str) -> Row:
    of = {"key": name, "protocol": name.partition(".")[0]}
    if name == AGREEMENT:
        return {**of, "kind": "All answers", "metric": "judge and match agree", "percent": True}
    measure = of_key(name)
    return {
        **of,
        "kind": kind_title(measure.kind, measure.relation),
        "metric": _metric(name, measure),
        "percent": measure.percent,
    }


def _run(row: sqlite3.Row) -> Row:
    header: RunResult = HEADERS.validate_json(row["header"])
    settings, told = header.settings, header.about
    return {
        "run": row["part"],
        "name": row["name"],
        "task": row["task"],
        "edits": row["cases"],
        "unedited": settings.method == UNEDITED,
        "family": told.family if told else "",
        "leaks": bool(told and told.leaks),
        "model": settings.model,
        "dataset": settings.dataset,
        "finished": header.finished,
        "judge": row["judge"],
    }
