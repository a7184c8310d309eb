"""From the lines of a run to the tables of the index, some hundred lines at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from editors.families import METHOD_FAMILIES
from evaluation.report.runs import timeless
from evaluation.results.lines import Lines
from evaluation.results.records import CaseResult, RunResult, result_lines
from evaluation.results.summary import all_values, estimate, headline
from evaluation.results.verdicts import judged_key, verdict_lines
from evaluation.run.experiment import UNEDITED
from evaluation.viewing.judging import fill_verdicts, judged_headline, judged_values
from evaluation.viewing.near import fill_near
from mmedit_build.console import Advance

AT_ONCE = 200
HEADERS = TypeAdapter(RunResult)


Values = dict[str, Mapping[str, float]]
"""By the key of a measure, and by edit."""


class Run(NamedTuple):
    """What is put into an index."""

    connection: sqlite3.Connection
    folder: str
    header: RunResult


class Means:
    """The values of what the main tables show, collected for their means."""

    def __init__(self, header: RunResult) -> None:
        task = header.settings.task
        main = [of for name in header.settings.protocols for of in headline(task, name).values()]
        self._percent = {of.key: of.percent for of in main}
        self._percent |= {judged_key(of.key): of.percent for of in judged_headline(task).values()}
        self._values: dict[str, dict[str, float]] = {name: {} for name in self._percent}
        self._images: dict[str, str] = {}
        self.keys: dict[str, None] = {}
        """Of all measures that any edit has."""

    def add(self, results: Mapping[str, CaseResult], values: Values) -> None:
        """Of several results of an edit the last one counts."""
        for key, of in self._values.items():
            for name in results.keys() & of.keys():
                del of[name]
            of.update(values.get(key, {}))
        self.keys.update(dict.fromkeys(values))
        self._images.update({name: result.image_id for name, result in results.items()})

    def __len__(self) -> int:
        return len(self._images)

    def as_json(self) -> str:
        """By the keys of measures: mean, both ends of the interval, edits."""
        found = {
            key: estimate(of, self._images, share=self._percent[key]) for key, of in self._values.items()
        }
        return json.dumps(
            {name: [one.mean, one.low, one.high, one.edits] for name, one in found.items() if one}
        )


def fill_run(run: Run, advance: Advance, part: int) -> None:
    """All cases of a run, and its means, as a part of the index."""
    connection, folder, header = run
    means = Means(header)
    verdicts = verdict_lines(Path(folder)).read()
    fill_verdicts(connection, part, verdicts)
    for batch in _batched(result_lines(Path(folder))):
        places = {result.id: place for place, result in batch}
        results = {result.id: result for _, result in batch}
        values: Values = {measure.key: of for measure, of in all_values(list(results.values())).items()}
        values |= judged_values(list(results.values()), verdicts)
        means.add(results, values)
        edits = fill_edits(connection, list(results.values()))
        _cases(connection, part, edits, results, places, values)
        fill_near(connection, part, edits, results)
        words = [(part, edits[name], said(result)) for name, result in results.items()]
        connection.executemany("INSERT OR REPLACE INTO words VALUES(?, ?, ?)", words)
        advance(len(batch), f"{header.settings.task} {header.settings.name}")
    told = (as_text(header), means.as_json(), json.dumps([*means.keys]))
    judge = next((one.judge for one in verdicts), "")
    row = (part, folder, header.settings.task, dataset_of(header), *told, len(means), judge)
    connection.execute("INSERT INTO runs VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL)", row)


def as_text(header: RunResult) -> str:
    """A header as the index keeps it."""
    return HEADERS.dump_json(header).decode()


def dataset_of(header: RunResult) -> str:
    """What tells datasets apart, whose pictures are looked for once."""
    return f"{header.settings.dataset_digest} {header.settings.task} {header.settings.split}"


def rank(header: RunResult, name: str) -> tuple[bool, int, str, int, str]:
    """The place among others: the unedited model first, then family by family."""
    families: list[str] = [*METHOD_FAMILIES]
    family = "" if header.about is None else header.about.family
    place = families.index(family) if family in families else len(families)
    settings = header.settings
    return settings.method != UNEDITED, place, settings.method, settings.at_once, name


def said(result: CaseResult) -> str:
    """All answers, which a search looks through."""
    answers = (text for probe in result.probes for text in (probe.before, probe.after) if text)
    return "\n".join(dict.fromkeys(answers))


def _batched(lines: Lines[CaseResult]) -> Iterable[Sequence[tuple[int, CaseResult]]]:
    batch: list[tuple[int, CaseResult]] = []
    for one in lines.scan():
        batch.append(one)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    yield batch


def fill_edits(connection: sqlite3.Connection, results: Sequence[CaseResult]) -> dict[str, int]:
    """The numbers of edits, which get one when they first come up."""
    rows = [
        (one.task, one.id, one.image_id, one.question_type, one.question, one.target, asked(one))
        for one in results
    ]
    connection.executemany(
        "INSERT INTO edits(task, id, image_id, type, question, target, words) VALUES(?, ?, ?, ?, ?, ?, ?) "
        # Those that a method skipped have no probes to tell what else is asked.
        "ON CONFLICT(task, id) DO UPDATE SET words = excluded.words WHERE words = ''",
        rows,
    )
    find = "SELECT edit FROM edits WHERE task = ? AND id = ?"
    return {one.id: connection.execute(find, (one.task, one.id)).fetchone()[0] for one in results}


def asked(result: CaseResult) -> str:
    """What is asked besides the edit's own question, for searches."""
    texts = (text for probe in result.probes for text in (probe.question or probe.prompt, probe.target))
    return "\n".join(dict.fromkeys(texts))


def _cases(
    connection: sqlite3.Connection,
    part: int,
    edits: Mapping[str, int],
    results: Mapping[str, CaseResult],
    places: Mapping[str, int],
    values: Values,
) -> None:
    columns = [_column(connection, key) for key in values]
    rows: list[tuple[Any, ...]] = [
        (
            *(part, edits[name], places[name], result.skipped, result.plan_seconds + result.probe_seconds),
            timeless(result),
            *(of.get(name) for of in values.values()),
        )
        for name, result in results.items()
    ]
    names = ("part", "edit", "line", "skipped", "seconds", "digest", *columns)
    marks = ", ".join("?" * len(names))
    connection.executemany(f"INSERT OR REPLACE INTO cases({', '.join(names)}) VALUES({marks})", rows)


def _column(connection: sqlite3.Connection, name: str) -> str:
    """The column of a measure, which is made when it first comes up."""
    found = connection.execute("SELECT measure FROM measures WHERE key = ?", (name,)).fetchone()
    if found is not None:
        return f"m{found[0]}"
    number = connection.execute("INSERT INTO measures(key) VALUES(?)", (name,)).lastrowid
    connection.execute(f"ALTER TABLE cases ADD COLUMN m{number} REAL")
    return f"m{number}"
