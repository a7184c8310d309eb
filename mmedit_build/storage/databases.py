"""SQLite files in storage: they travel as what they hold at a moment, and two that went apart become one."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

TABLES = "SELECT name FROM {}.sqlite_master WHERE type = 'table'"
KEYS = "SELECT COUNT(*) FROM pragma_table_info(?) WHERE pk"


@contextmanager
def snapshot(path: Path) -> Iterator[Path]:
    """A file with all that another one holds, of which a part may stand beside it."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        held = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        with closing(held), closing(sqlite3.connect(whole)) as copied:
            held.backup(copied)
        yield whole


def merged(file: Path, other: Path) -> None:
    """Add to the tables of a file the rows of another one whose keys it lacks."""
    with closing(sqlite3.connect(file, isolation_level=None)) as held:
        held.execute("ATTACH ? AS other", (str(other),))
        there, found = ({name for (name,) in held.execute(TABLES.format(of))} for of in ("main", "other"))
        for name in sorted(there & found):
            if held.execute(KEYS, (name,)).fetchone()[0]:
                held.execute(f'INSERT OR IGNORE INTO main."{name}" SELECT * FROM other."{name}"')
        held.execute("DETACH other")
