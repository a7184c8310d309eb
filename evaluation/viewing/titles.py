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
from evaluation.run.experiment import UNEDITED
from evaluation.viewing.filling import HEADERS, key
from mmedit_build.rows import TASKS

Row = dict[str, Any]
TASK_TITLES = {"vqa": "Questions", "caption": "Captions"}


def about(connection: sqlite3.Connection) -> Row:
    """All that the controls of the page offer."""
    runs = connection.execute("SELECT * FROM runs WHERE cases ORDER BY place").fetchall()
    tasks = [task for task in TASKS if any(run["task"] == task for run in runs)]
    return {
        "tasks": [_task(connection, task, [run for run in runs if run["task"] == task]) for task in tasks],
        "runs": [_run(run) for run in runs],
    }


def overview(connection: sqlite3.Connection, task: str) -> list[Row]:
    """The main table of each protocol: a row for each run, a column for each headline measure."""
    runs = connection.execute(
        "SELECT part, means FROM runs WHERE cases AND task = ? ORDER BY place", (task,)
    ).fetchall()
    means = {run["part"]: json.loads(run["means"]) for run in runs}
    return [found for protocol in PROTOCOLS if (found := _table(task, protocol, means))["columns"]]


def of_key(name: str) -> Measure:
    """The measure that an address names."""
    protocol, kind, one, relation = name.split(".")
    return Measure(protocol, kind, one, relation or None)  # type: ignore[arg-type]


def kind_title(kind: str, relation: str | None) -> str:
    """What a probe or a measure is about."""
    told = {str(name): words for name, words in RELATIONS.items()}.get(relation or "", relation)
    return TITLES[kind] + (f", {told}" if told else "")  # type: ignore[index]


def _table(task: str, protocol: Any, means: dict[int, Row]) -> Row:
    columns = {title: key(measure) for title, measure in headline(task, protocol).items()}  # type: ignore[arg-type]
    known = {name for of in means.values() for name in of}
    return {
        "title": PROTOCOLS[protocol].title,
        "columns": [
            {
                "key": name,
                "title": NAMES[title],
                "about": ABOUT[title],
                "metric": metric(protocol, of_key(name).metric).title,
            }
            for title, name in columns.items()
            if name in known
        ],
        "rows": [{"run": part, "means": of} for part, of in means.items()],
    }


def _task(connection: sqlite3.Connection, task: Any, runs: list[sqlite3.Row]) -> Row:
    types = connection.execute("SELECT DISTINCT type FROM edits WHERE task = ? ORDER BY type", (task,))
    keys = {name: None for run in runs for name in json.loads(run["keys"])}
    main = {key(measure) for protocol in PROTOCOLS for measure in headline(task, protocol).values()}
    return {
        "task": task,
        "title": TASK_TITLES[task],
        "types": [name for (name,) in types],
        "measures": [{**_measure(name), "main": name in main} for name in keys],
    }


def _measure(name: str) -> Row:
    measure = of_key(name)
    return {
        "key": name,
        "protocol": measure.protocol,
        "kind": kind_title(measure.kind, measure.relation),
        "metric": metric(measure.protocol, measure.metric).title,
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
    }
