"""Outcomes of a stage on disk: one file for each finished shard, which is there whole or not at all.

A shard file is its own marker. Each outcome notes a digest of the row that went in and counts for exactly
this row, in whatever shard it stands, so that a few rows that changed since cost only themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Generic, Literal, NamedTuple, TypeAlias

from pydantic import TypeAdapter, ValidationError

from mmedit_build.engine.base import Failed, HasId, Json, Out, Rejected
from mmedit_build.errors import UserError
from mmedit_build.files import open_file, read_bytes
from mmedit_build.json_files import MOST_BYTES, parse_json
from mmedit_build.store import write_atomic, write_through

Outcome: TypeAlias = Out | Rejected[Out] | Failed
NOTHING: Mapping[str, Any] = MappingProxyType({})
Key = tuple[str, str]
"""The id of a row and a digest of its content."""
_KEY = TypeAdapter(Key)
DIGEST = 8
"""Bytes of the digest of a row."""
End = tuple[Literal["kept", "rejected", "failed"], str]
"""What came of a row, and for what reason if it was not kept."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some rows, with a digest of each."""

    name: str
    rows: Sequence[HasId]
    digests: Sequence[str]

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

    def counted(self, rows: Iterable[Out]) -> Iterator[Out]:
        """Rows as they come by, each added."""
        for row in rows:
            self.add([row])
            yield row

    def count(self, end: End, number: int) -> None:
        """Add so many rows that came to one end."""
        kind, reason = end
        if kind == "kept":
            self.kept += number
        else:
            (self.rejected if kind == "rejected" else self.failed)[reason] += number

    def merge(self, other: Tally) -> None:
        self.kept += other.kept
        self.rejected += other.rejected
        self.failed += other.failed

    def __str__(self) -> str:
        return f"{self.kept} kept, {self.rejected.total()} rejected, {self.failed.total()} failed"


class Seen(NamedTuple):
    """One line of a shard file."""

    id: str
    digest: bytes
    offset: int
    end: End


@dataclass(frozen=True)
class Shards(Generic[Out]):
    """The shard files of one stage."""

    folder: Path
    row_type: type[Out]

    @cached_property
    def _rows(self) -> TypeAdapter[Out]:
        return TypeAdapter(self.row_type)

    def path(self, name: str) -> Path:
        return self.folder / "shards" / name

    def files(self) -> list[Path]:
        """All there are, those of earlier plans included."""
        return sorted((self.folder / "shards").glob("*.jsonl"))

    def write(self, name: str, keys: Iterable[Key], outcomes: Iterable[Outcome[Out]]) -> None:
        lines = [
            json.dumps({"id": row_id, "of": of, **self._dump(outcome)}, ensure_ascii=False)
            for (row_id, of), outcome in zip(keys, outcomes, strict=True)
        ]
        write_atomic(self.path(name), "".join(f"{line}\n" for line in lines).encode())

    def read(self, path: Path) -> list[tuple[Key, Outcome[Out]]]:
        """The outcomes in a file, each with what it is of."""
        with _whole(path):
            # Bytes, as texts would also be split at the line separators that JSON leaves as they are.
            return [self._outcome(line) for line in read_bytes(path, MOST_BYTES).splitlines()]

    def read_some(self, path: Path, offsets: Iterable[int]) -> list[tuple[Key, Outcome[Out]]]:
        """Those that begin at some places of a file."""
        with _whole(path), open_file(path) as file:
            found = []
            for offset in offsets:
                file.seek(offset)
                found.append(self._outcome(file.readline()))
            return found

    def skim(self, path: Path) -> list[Seen]:
        """What the lines of a file are of, and what came of it, without making rows of them."""
        with _whole(path):
            seen, offset = [], 0
            for line in read_bytes(path, MOST_BYTES).splitlines(keepends=True):
                record = parse_json(line)
                number = bytes.fromhex(record["of"])
                if len(number) != DIGEST:
                    raise ValueError("not a digest")
                seen.append(Seen(str(record["id"]), number, offset, _end(record)))
                offset += len(line)
            return seen

    def _outcome(self, line: bytes) -> tuple[Key, Outcome[Out]]:
        record = parse_json(line)
        return _KEY.validate_python((record["id"], record["of"])), self._load(record)

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


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} does not hold the outcomes of a shard; delete it and run the same command again."
        ) from error


def _end(record: Json) -> End:
    for kind in ("failed", "rejected"):
        if kind in record:
            if not isinstance(record[kind], str):
                raise ValueError("not a reason")
            return kind, record[kind]
    if "kept" not in record:
        raise ValueError("no outcome")
    return "kept", ""


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Rows of one kind as JSON lines."""
    left = iter(rows)
    first = list(islice(left, 1))
    adapter = TypeAdapter(type(first[0])) if first else None

    def write(file: BinaryIO) -> None:
        for row in chain(first, left):
            assert adapter is not None
            file.write(adapter.dump_json(row) + b"\n")

    write_through(path, write)


def read_rows(path: Path, row_type: type[Out]) -> Iterator[Out]:
    """Rows as `write_rows` wrote them, one by one."""
    adapter = TypeAdapter(row_type)
    try:
        with open_file(path) as file:
            for line in file:
                yield adapter.validate_json(line)
    except OSError as error:
        raise UserError(
            f"Cannot read {path} ({error.strerror}); run the stage before this one first."
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{path} does not hold rows of this version of mmedit; delete its folder and run the stage again."
        ) from error
