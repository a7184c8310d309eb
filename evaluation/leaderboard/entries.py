"""What a leaderboard keeps of a run: its header, the means that are claimed, and the results of each edit.

    keys/DATASET.jsonl.xz                                what is asked and what is right; see `keys`
    results/DATASET/MODEL/TASK/METHOD/ID.json            the header and the claims
    results/DATASET/MODEL/TASK/METHOD/ID.jsonl.xz        raw answers and scores, a line for each edit
    results/DATASET/MODEL/TASK/METHOD/ID.verdicts.jsonl.xz  what a judge said of the answers, if one was asked

Those of streams stand in TASK/streams or TASK/PRESET; their lines are of edits just made, and of checkpoints.

ID is a digest of header, claims and answers, so nothing of an entry can be altered without a new name.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from evaluation.results.records import Finite, Natural, RunResult
from evaluation.results.summary import Measure, Results
from evaluation.run.experiment import UNEDITED

RESULTS, KEYS, STREAMS = "results", "keys", "streams"
PACKED = ".jsonl.xz"
VERDICTS = f".verdicts{PACKED}"
MOST_BYTES = 1 << 30
"""Of the lines of one run."""
PART_BYTES = 1 << 20
_NAMES = ("model", "dataset")
"""Settings that are mere names: the digests beside them tell what they mean."""


class Claim(NamedTuple):
    """A mean as it was handed in, and of how many edits."""

    mean: Finite
    edits: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One method on one task."""

    version: Literal[1] = 1
    date: str
    """When the run was finished, as YYYY-MM-DD."""
    header: RunResult
    limited: bool
    """Whether only the first edits of the dataset were judged."""
    base: str | None
    """The entry of the unedited model that the answers before the edits are of; None of that one itself."""
    answers: str
    """The SHA-256 of the lines of results."""
    claims: dict[str, Claim]
    """By measure; of streams by protocol, number of edits and column."""
    verdicts: str = ""
    """The SHA-256 of the lines of verdicts; empty if nobody judged the answers."""
    judged: dict[str, Claim] = field(default_factory=dict)
    """The means of the verdicts by measure."""

    @property
    def unedited(self) -> bool:
        return self.header.settings.method == UNEDITED

    @property
    def streamed(self) -> bool:
        of = self.header.settings
        return bool(of.stream or of.preset)

    @property
    def id(self) -> str:
        return _digest(_ENTRIES.dump_python(self, mode="json", exclude=self._unsaid))

    @property
    def _unsaid(self) -> set[str]:
        """What is left out where it says nothing, so that earlier entries keep their names."""
        return set() if self.verdicts else {"verdicts", "judged"}

    @property
    def place(self) -> str:
        """Where it is kept, without the ending."""
        of = self.header.settings
        dataset, model = (
            f"{slug(of.dataset)}-{of.dataset_digest[:8]}",
            f"{slug(of.model)}-{of.model_digest[:8]}",
        )
        kind = [slug(of.preset) if of.preset else STREAMS] if self.streamed else []
        return "/".join((RESULTS, dataset, model, of.task, *kind, slug(of.name), self.id))

    @property
    def experiment(self) -> str:
        """Equal for runs that should come to the same answers."""
        content = TypeAdapter(RunResult).dump_python(self.header, mode="json")
        settings = {name: value for name, value in content["settings"].items() if name not in _NAMES}
        return _digest([settings, self.header.dtype])

    def text(self) -> bytes:
        return _ENTRIES.dump_json(self, indent=2, exclude=self._unsaid) + b"\n"


_ENTRIES = TypeAdapter(Entry)


def parse_entry(data: bytes) -> Entry:
    """An entry that was written; a ValueError if it is none."""
    return _ENTRIES.validate_json(data)


def claims_of(results: Results) -> dict[str, Claim]:
    """The mean of every measure of some results, by name."""
    return {
        claim_name(of): Claim(float(np.nanmean(found)), int((~np.isnan(found)).sum()))
        for of, found in results.scores.items()
        if not np.isnan(found).all()
    }


def claim_name(of: Measure) -> str:
    """How claims name a measure."""
    return "/".join(filter(None, [of.protocol, of.kind, of.relation, of.metric]))


def key_place(digest: str) -> str:
    """Where the key of a dataset is kept."""
    return f"{KEYS}/{digest}{PACKED}"


def slug(name: str) -> str:
    """The last step of a name, as a file can be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rstrip("/").rpartition("/")[2]).lstrip(".") or "unnamed"


def packed(lines: bytes) -> bytes:
    """Lines as they are kept: of the same ones, the same bytes."""
    return lzma.compress(lines, preset=9)


def unpacked(path: Path) -> bytes:
    """The lines again; a ValueError if they are broken, or too many."""
    try:
        with lzma.open(path) as file:
            lines = _at_most(file, MOST_BYTES + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError("it is not whole") from error
    if len(lines) > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
    return lines


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(content: Mapping[str, Any] | list[Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode())[:16]


def _at_most(file: IO[bytes], most: int) -> bytes:
    """What a file has, up to so many bytes; in parts, as room for all of them would be made at once."""
    found = bytearray()
    while len(found) < most and (part := file.read(min(PART_BYTES, most - len(found)))):
        found += part
    return bytes(found)
