"""Outcomes of a stage on disk: one file for each finished shard, which is there whole or not at all.

A shard file is its own marker. Each outcome notes a digest of the row that went in and counts for exactly
this row, in whatever shard it stands, so that a few rows that changed since cost only themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeAlias

from pydantic import TypeAdapter, ValidationError

from mmedit_build.engine.base import Failed, HasId, Json, Out, Rejected
from mmedit_build.errors import UserError, shortened
from mmedit_build.files import read_bytes
from mmedit_build.json_files import MOST_BYTES, parse_json, read_json
from mmedit_build.store import write_atomic

Outcome: TypeAlias = Out | Rejected[Out] | Failed
NOTHING: Mapping[str, Any] = MappingProxyType({})
Key = tuple[str, str]
"""The id of a row and a digest of its content."""
_KEY = TypeAdapter(Key)


@dataclass(frozen=True, slots=True)
class Shard:
    """Some rows, with a digest of each."""

    number: int
    rows: tuple[HasId, ...]
    digests: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.number:05d}-{digest(self.digests)}.jsonl"

    @property
    def keys(self) -> list[Key]:
        return [(row.id, of) for row, of in zip(self.rows, self.digests, strict=True)]


@dataclass(slots=True)
class Tally:
    """How many rows came to what end."""

    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.kept + self.rejected.total() + self.failed.total()

    def add(self, outcomes: Iterable[Any]) -> Tally:
        for outcome in outcomes:
            if isinstance(outcome, Rejected):
                self.rejected[outcome.reason] += 1
            elif isinstance(outcome, Failed):
                self.failed[outcome.reason] += 1
            else:
                self.kept += 1
        return self

    def merge(self, other: Tally) -> None:
        self.kept += other.kept
        self.rejected += other.rejected
        self.failed += other.failed

    def __str__(self) -> str:
        return f"{self.kept} kept, {self.rejected.total()} rejected, {self.failed.total()} failed"


@dataclass(frozen=True)
class Shards(Generic[Out]):
    """The shard files of one stage."""

    folder: Path
    row_type: type[Out]

    @cached_property
    def _rows(self) -> TypeAdapter[Out]:
        return TypeAdapter(self.row_type)

    def path(self, shard: Shard) -> Path:
        return self.folder / "shards" / shard.name

    def write(self, shard: Shard, outcomes: Sequence[Outcome[Out]]) -> None:
        lines = [
            json.dumps({"id": row_id, "of": of, **self._dump(outcome)}, ensure_ascii=False)
            for (row_id, of), outcome in zip(shard.keys, outcomes, strict=True)
        ]
        write_atomic(self.path(shard), "".join(f"{line}\n" for line in lines).encode())

    def read(self, shard: Shard) -> list[Outcome[Out]]:
        return [outcome for _, outcome in self._lines(self.path(shard))]

    def known(self) -> dict[Key, Outcome[Out]]:
        """Every outcome in any shard file, earlier plans included; a failure only where there is no other."""
        known: dict[Key, Outcome[Out]] = {}
        for path in self._files():
            for key, outcome in self._lines(path):
                if key not in known or isinstance(known[key], Failed):
                    known[key] = outcome
        return known

    def forget_repeats(self, plan: Sequence[Shard]) -> None:
        """Remove the files of earlier plans of which every row is in the present one, once that is finished.

        Others stay: a smaller plan shall not cost what a larger one had done.
        """
        names = {shard.name for shard in plan}
        planned = {key for shard in plan for key in shard.keys}
        for path in self._files():
            if path.name not in names and all(key in planned for key, _ in self._lines(path)):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted((self.folder / "shards").glob("*.jsonl"))

    def _lines(self, path: Path) -> Iterator[tuple[Key, Outcome[Out]]]:
        try:
            # Bytes, as texts would also be split at the line separators that JSON leaves as they are.
            for line in read_bytes(path, MOST_BYTES).splitlines():
                record = parse_json(line)
                yield _KEY.validate_python((record["id"], record["of"])), self._load(record)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} does not hold the outcomes of a shard; delete it and run the same command again."
            ) from error

    def _dump(self, outcome: Outcome[Out]) -> Json:
        if isinstance(outcome, Failed):
            return {"failed": outcome.reason}
        if isinstance(outcome, Rejected):
            row = None if outcome.row is None else self._rows.dump_python(outcome.row, mode="json")
            return {"rejected": outcome.reason, "row": row}
        return {"kept": self._rows.dump_python(outcome, mode="json")}

    def _load(self, record: Json) -> Outcome[Out]:
        if "failed" in record:
            return Failed(record["id"], record["failed"])
        if "rejected" in record:
            row = record["row"]
            return Rejected(
                record["id"], record["rejected"], None if row is None else self._rows.validate_python(row)
            )
        return self._rows.validate_python(record["kept"])


def plan(rows: Sequence[HasId], size: int, beside: Mapping[str, Any] = NOTHING) -> list[Shard]:
    """Cut rows into shards of a fixed size, whatever the number of workers."""
    repeated = [row_id for row_id, times in Counter(row.id for row in rows).items() if times > 1]
    if repeated:
        raise UserError(
            f"{len(repeated)} ids are given to several rows, such as {repeated[0]}; make them differ."
        )
    digests = [of for _, of in keys_of(rows, beside)]
    return [
        Shard(start // size, tuple(rows[start : start + size]), tuple(digests[start : start + size]))
        for start in range(0, len(rows), size)
    ]


def keys_of(rows: Sequence[HasId], beside: Mapping[str, Any] = NOTHING) -> list[Key]:
    """The key of each row, made of its content and of what else its outcome depends on."""
    if not rows:
        return []
    adapter = TypeAdapter(type(rows[0]))
    contents = [[adapter.dump_python(row, mode="json"), beside.get(row.id)] for row in rows]
    return [(row.id, digest(content)) for row, content in zip(rows, contents, strict=True)]


def digest(content: object) -> str:
    """A short digest of anything that JSON can express."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Rows as JSON lines."""
    adapter = TypeAdapter(type(rows[0])) if rows else None
    lines = [] if adapter is None else [adapter.dump_json(row) + b"\n" for row in rows]
    write_atomic(path, b"".join(lines))


def read_rows(path: Path, row_type: type[Out]) -> list[Out]:
    """Rows as `write_rows` wrote them."""
    adapter = TypeAdapter(row_type)
    try:
        return [adapter.validate_json(line) for line in read_bytes(path, MOST_BYTES).splitlines()]
    except OSError as error:
        raise UserError(
            f"Cannot read {path} ({error.strerror}); run the stage before this one first."
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{path} does not hold rows of this version of mmedit; delete its folder and run the stage again."
        ) from error


FORMAT = 3
"""Of rows and judgements: raised when what a stage makes of the same rows changes, so that old and new rows
never mix."""


MANIFEST = "manifest.json"
SHOWN = 120
"""How many letters of a setting a message shows."""


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note the settings of a stage when it begins; refuse to go on under others, naming the difference."""
    path = folder / MANIFEST
    wanted = json.loads(json.dumps({"format": FORMAT, **settings}))
    if not path.exists():
        write_atomic(path, json.dumps(wanted, indent=2, sort_keys=True).encode() + b"\n")
        return
    found = read_settings(folder)
    if found != wanted:
        name, before, now = next(differences(found, wanted))
        raise UserError(
            f"{folder} was begun with other settings: {name} was {before} and is now {now}. "
            f"Choose another folder with --work, or delete {folder} and what came after it."
        )


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings that a stage was begun with."""
    path, remedy = folder / MANIFEST, f"delete {folder} and run that stage again"
    found = read_json(path, remedy)
    if not isinstance(found, dict):
        raise UserError(f"{path} does not hold the settings of a stage; {remedy}.")
    return found


def differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """What differs in nested settings: its name, what it was, and what it is."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            inner = f"{name}.{key}" if name else key
            if before.get(key) != now.get(key):
                yield from differences(before.get(key), now.get(key), inner)
        return
    yield name, shortened(json.dumps(before), SHOWN), shortened(json.dumps(now), SHOWN)
