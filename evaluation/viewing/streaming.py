"""Streams in the index of a viewer: what became of each edit, and of the fixed set, as more were made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.data.cases import Kind
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.names import names, published
from evaluation.results.preset_summary import measure, placed, retained
from evaluation.results.presets import PRESETS, PresetName, column_name, known_preset
from evaluation.results.records import CaseResult, ProbeResult, RunResult
from evaluation.results.stream_summary import COLUMNS, FORGOTTEN, Stream, measured
from evaluation.results.streams import Checkpoint, Kept, Placed, read_stream
from evaluation.results.summary import Group, Measure, relations, values
from evaluation.viewing.filling import HEADERS, as_text, dataset_of, fill_edits, rank
from mmedit_build.console import Advance
from mmedit_build.rows import Task

SCHEMA = (
    "CREATE TABLE streams(part INTEGER PRIMARY KEY, folder TEXT, task TEXT, dataset TEXT, header TEXT, "
    "numbers TEXT, orders INTEGER, measured TEXT, name TEXT, place INTEGER)",
    # A row for each time that something was asked: just after its edit (number 0), and after so many.
    "CREATE TABLE steps(part INTEGER, kind TEXT, ord INTEGER, position INTEGER, number INTEGER, "
    "edit INTEGER, question TEXT, target TEXT, item TEXT, made INTEGER, before TEXT, said TEXT, also TEXT, "
    "legacy REAL, wild REAL, also_legacy REAL, also_wild REAL, "
    "PRIMARY KEY(part, kind, number, ord, position)) WITHOUT ROWID",
)
PARTED = ("streams", "steps")
EDIT = "edit"
"""The kind of rows about edits; those about the fixed set have the kind of their probes."""
WHERE: dict[str, tuple[str, str]] = {
    "Online": (EDIT, ""),
    "Kept": (EDIT, ""),
    "T-Gen": (EDIT, "also_"),
    "T-Loc": ("text_locality", ""),
    "I-Loc": ("image_locality", ""),
    "Ability": ("image_locality", "also_"),
    **dict.fromkeys(FORGOTTEN, (EDIT, "")),
    **{
        column_name(preset, title): (column_name(preset, title), "")
        for preset, about in PRESETS.items()
        for title in about.columns
    },
}
"""By column, the kind of its rows, and which of their two values it is of."""
Row = dict[str, Any]


def fill_stream(connection: sqlite3.Connection, folder: str, advance: Advance, part: int) -> None:
    """All that was asked in the streams of a method, and the means, as a part of the index."""
    header, checkpoints, online = read_stream(Path(folder))
    task = header.settings.task
    places = [(0, one) for one in online]
    places += [(of.edits, one) for of in checkpoints for one in of.retention]
    edits = fill_edits(connection, [one.result for _, one in places])
    rows = [_of_edit(part, number, one, edits, task) for number, one in places]
    rows += [_of_fixed(part, of, at, one, task) for of in checkpoints for at, one in enumerate(of.fixed)]
    if (preset := known_preset(header.settings.preset)) is not None:
        rows += _of_preset(part, Stream(task, checkpoints, online), preset, header.settings.stream, edits)
    connection.executemany(f"INSERT OR REPLACE INTO steps VALUES({', '.join('?' * 17)})", rows)
    stream = Stream(task, checkpoints, online)
    orders = len({one.order for one in online})
    told = (as_text(header), json.dumps(stream.numbers), orders, json.dumps(_means(stream, header)))
    row = (part, folder, task, dataset_of(header), *told)
    connection.execute("INSERT INTO streams VALUES(?, ?, ?, ?, ?, ?, ?, ?, '', 0)", row)
    advance(header.edits, f"{task} {header.settings.name}, one after the other")


def _means(stream: Stream, header: RunResult) -> Row:
    """By protocol, number and column: mean, both ends of the interval, edits."""
    return {
        protocol: {
            number: {
                column: [one.mean, one.low, one.high, one.edits]
                for column, one in measured(stream, protocol, number).items()
            }
            for number in stream.numbers
        }
        for protocol in header.settings.protocols
    }


def _of_edit(part: int, number: int, one: Placed, edits: Mapping[str, int], task: Task) -> tuple[Any, ...]:
    own, other = (_probe(one.result, kind) for kind in ("reliability", "text_generality"))
    main = [_value(one.result, task, "reliability", name) for name in ("legacy", "wild")]
    also = [_value(one.result, task, "text_generality", name) for name in ("legacy", "wild")]
    said = (own and own.before, own and own.after, other and other.after)
    place = (part, EDIT, one.order, one.position, number, edits[one.result.id])
    return (*place, None, None, None, one.made, *said, *main, *also)


def _of_fixed(part: int, of: Checkpoint, at: int, one: Kept, task: Task) -> tuple[Any, ...]:
    main = [_score(one.result, task, name) for name in ("legacy", "wild")]
    place = (part, one.result.kind, of.order, at, of.edits, None)
    return (*place, *_asked(one), *main, *_known(one))


def _asked(one: Kept) -> tuple[Any, ...]:
    probe = one.result
    said = (probe.before, probe.after, probe.after)
    return (probe.question or probe.prompt, probe.target, probe.item, True, *said)


def _known(one: Kept) -> list[float | None]:
    """Of what the unedited model does not know, nothing can be left."""
    return [float(one.knows[name]) if one.knew.get(name) else None for name in ("legacy", "wild")]


def _of_preset(
    part: int, stream: Stream, preset: PresetName, number: int, edits: Mapping[str, int]
) -> Iterator[tuple[Any, ...]]:
    """What the rates of a publication are of; in the place of numbers of edits are those of its rows."""
    for row, _, asked in placed(stream, preset, number):
        for title, of in asked.items():
            column, kind = PRESETS[preset].columns[title], column_name(preset, title)
            measures = [measure(stream.task, name, column) for name in ("legacy", "wild")]
            for one in of:
                place = (part, kind, one.order, one.position, row, edits[one.result.id])
                probe = _probe(one.result, column.kind, column.relation)
                said = (probe and probe.before, probe and probe.after, None)
                found = [values([one.result], of).get(one.result.id) for of in measures]
                yield (*place, None, None, None, one.made, *said, *found, None, None)
        for title, kept in retained(stream, preset).items():
            for at, fixed in enumerate(kept):
                where = (part, column_name(preset, title), 0, at, row, None)
                yield (*where, *_asked(fixed), *_known(fixed), None, None)


def _probe(result: CaseResult, kind: Kind, relation: Group | None = None) -> ProbeResult | None:
    """The first of a kind, and of a relation if one is given."""
    alike = (probe for probe in result.probes if probe.kind == kind)
    return next((probe for probe in alike if relation is None or relation in relations(probe)), None)


def _value(result: CaseResult, task: Task, kind: Kind, protocol: Any) -> float | None:
    found = values([result], Measure(protocol, kind, PROTOCOLS[protocol].main(task, kind)))
    return found.get(result.id)


def _score(probe: ProbeResult, task: Task, protocol: Any) -> float | None:
    return probe.scores.get(protocol, {}).get(PROTOCOLS[protocol].main(task, probe.kind))


def name_streams(connection: sqlite3.Connection) -> None:
    """Names that tell those of a task apart, as reports have them, and their order."""
    groups: dict[tuple[str, str], list[tuple[int, RunResult, Path]]] = {}
    for part, header, folder in connection.execute("SELECT part, header, folder FROM streams").fetchall():
        found = HEADERS.validate_json(header)
        groups.setdefault((found.settings.task, found.settings.preset), []).append(
            (part, found, Path(folder))
        )
    named = []
    for (_, preset), of in groups.items():
        for (part, header, _), name in zip(
            of, names([(header, folder) for _, header, folder in of]), strict=True
        ):
            named.append((part, header, published(name, preset)))
    named.sort(key=lambda one: rank(one[1], one[2]))
    rows = [(name, place, part) for place, (part, _, name) in enumerate(named)]
    connection.executemany("UPDATE streams SET name = ?, place = ? WHERE part = ?", rows)


def streams_of(connection: sqlite3.Connection, task: str) -> list[Row]:
    """What the controls of a page offer."""
    return [{**_told(row), "published": _published(connection, row)} for row in _rows(connection, task)]


def _published(connection: sqlite3.Connection, row: sqlite3.Row) -> Row | None:
    """The columns of the publication as which streams are made, and the numbers of its rows."""
    preset = known_preset(HEADERS.validate_json(row["header"]).settings.preset)
    if preset is None:
        return None
    about = PRESETS[preset]
    columns = {column_name(preset, title): f"{title}, {about.title}" for title in about.columns}
    query = "SELECT DISTINCT number FROM steps WHERE part = ? AND kind = ? ORDER BY number"
    numbers = connection.execute(query, (row["part"], next(iter(columns)))).fetchall()
    return {"row": about.row, "columns": columns, "numbers": [number for (number,) in numbers]}


def _rows(connection: sqlite3.Connection, task: str) -> list[sqlite3.Row]:
    query = "SELECT * FROM streams WHERE task = ? AND numbers <> '[]' ORDER BY place"
    return connection.execute(query, (task,)).fetchall()


def _told(row: sqlite3.Row) -> Row:
    header = HEADERS.validate_json(row["header"])
    settings, about = header.settings, header.about
    return {
        "run": row["part"],
        "name": row["name"],
        "family": about.family if about else "",
        "unedited": False,
        "model": settings.model,
        "dataset": settings.dataset,
        "numbers": json.loads(row["numbers"]),
        "orders": row["orders"],
        "finished": header.finished,
    }


def stream_overview(connection: sqlite3.Connection, task: str) -> list[Row]:
    """A table for each protocol: a row for each method and number of edits, free answers first."""
    rows = _rows(connection, task)
    return [
        {"protocol": name, "title": PROTOCOLS[name].title, "columns": _columns(), "rows": found}
        for name in reversed([*PROTOCOLS])
        if (found := list(_numbers(rows, name)))
    ]


def _columns() -> list[Row]:
    return [{"key": key, "title": key, "about": about} for key, about in COLUMNS.items()]


def _numbers(rows: Sequence[sqlite3.Row], protocol: str) -> Iterator[Row]:
    for row in rows:
        for number, means in json.loads(row["measured"]).get(protocol, {}).items():
            yield {"run": row["part"], "number": int(number), "means": means}
