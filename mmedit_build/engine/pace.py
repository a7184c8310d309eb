"""How long the rows of a stage took so far: what plans tell the hours of the rest by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mmedit_build.files import is_file, read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.store import write_atomic

NAME = "pace.json"


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows that were worked on, and the seconds that one worker was busy with them; opening models is not
    among these."""

    rows: int = 0
    seconds: float = 0.0

    def __add__(self, other: Pace) -> Pace:
        return Pace(self.rows + other.rows, self.seconds + other.seconds)

    @property
    def a_row(self) -> float:
        return self.seconds / self.rows


_PACES = TypeAdapter(Pace)


def read_pace(folder: Path) -> Pace | None:
    """That of a stage; None where no row of it was worked on yet, or nobody can read when."""
    path = folder / NAME
    try:
        found = _PACES.validate_json(read_bytes(path, MOST_BYTES)) if is_file(path) else Pace()
    except (OSError, ValidationError):
        return None
    return found if found.rows > 0 else None


def add_pace(folder: Path, new: Pace) -> None:
    """Count what was worked on since."""
    if new.rows:
        whole = (read_pace(folder) or Pace()) + new
        write_atomic(folder / NAME, _PACES.dump_json(whole) + b"\n")
