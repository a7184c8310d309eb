"""What judges said, in the index of a viewer: as a score beside the others, and answer by answer."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evaluation.results.agreement import pairs, shares
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import Measure, all_values, headline
from evaluation.results.verdicts import (
    AGREEMENT,
    JUDGED,
    MATCH,
    Said,
    Verdict,
    as_judged,
    judged_key,
    judged_of,
)
from mmedit_build.rows import Task

TITLE = "Judged by a language model"


def counterpart(key: str) -> str | None:
    """Of a match the key of the verdicts, and the other way around; of other scores none."""
    protocol, rest = key.split(".", 1)
    if protocol == JUDGED:
        return f"wild.{rest}"
    return judged_key(key) if protocol == "wild" and rest.split(".")[1] == MATCH else None


def judged_headline(task: Task) -> dict[str, Measure]:
    """The columns of the main table that judges say something of."""
    return {title: of for title, of in headline(task, "wild").items() if of.metric == MATCH}


def judged_values(
    results: Sequence[CaseResult], verdicts: Sequence[Verdict]
) -> dict[str, Mapping[str, float]]:
    """By key, the shares of answers that are judged right, and of those that match accordingly, by edit."""
    if not verdicts:
        return {}
    found = all_values(list(as_judged(results, verdicts)))
    return {
        **{judged_key(measure.key): of for measure, of in found.items()},
        AGREEMENT: shares(pairs(results, verdicts)),
    }


def fill_verdicts(connection: sqlite3.Connection, part: int, verdicts: Iterable[Verdict]) -> None:
    rows = ((part, _name(one.said), one.right, one.raw) for one in verdicts)
    connection.executemany("INSERT OR REPLACE INTO verdicts VALUES(?, ?, ?, ?)", rows)


def verdict_on(connection: sqlite3.Connection, part: int, task: Any, probe: ProbeResult) -> Any:
    """What the judge of a run said of an answer; None where nobody judged it."""
    said = judged_of(task, probe)
    if said is None:
        return None
    query = "SELECT right, raw FROM verdicts WHERE part = ? AND said = ?"
    found = connection.execute(query, (part, _name(said))).fetchone()
    return found and {"right": None if found[0] is None else bool(found[0]), "raw": found[1]}


def _name(said: Said) -> bytes:
    """Answers are long, and the same ones are given again and again."""
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=12).digest()
