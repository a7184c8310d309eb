"""The settings that a stage was begun with, which later runs of it must share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmedit_build.errors import UserError, shortened
from mmedit_build.json_files import read_json
from mmedit_build.store import write_atomic

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
