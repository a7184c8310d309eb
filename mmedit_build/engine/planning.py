"""Which rows make up which shard: the same whatever was done before, and whoever does it."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter

from mmedit_build.engine.base import HasId
from mmedit_build.engine.shards import DIGEST, NOTHING, Key
from mmedit_build.errors import UserError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Planned:
    """A shard to be: the name of its file, and the digests of its rows, eight bytes each.

    Rows themselves are not kept: there may be more than memory holds.
    """

    name: str
    digests: bytes

    @property
    def size(self) -> int:
        return len(self.digests) // DIGEST

    @property
    def texts(self) -> list[str]:
        """The digests as they are written."""
        return [self.digests[start : start + DIGEST].hex() for start in range(0, len(self.digests), DIGEST)]


def plan(rows: Iterable[HasId], size: int, beside: Mapping[str, Any] = NOTHING) -> list[Planned]:
    """Cut rows into shards of a fixed size, whatever the number of workers."""
    planned: list[Planned] = []
    ids = array("q")
    for number, part in enumerate(parts(rows, size)):
        digests = [of for _, of in keys_of(part, beside)]
        ids.extend(hash(row.id) for row in part)
        planned.append(Planned(shard_name(number, digests), bytes.fromhex("".join(digests))))
    _check_ids(rows, np.frombuffer(ids, np.int64) if ids else np.zeros(0, np.int64))
    return planned


def shard_name(number: int, digests: Sequence[str]) -> str:
    """What the file of a shard is called: by its place, and by what its rows are."""
    return f"{number:05d}-{digest(digests)}.jsonl"


def parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """So many at a time, as long as there are any."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def keys_of(rows: Sequence[HasId], beside: Mapping[str, Any] = NOTHING) -> list[Key]:
    """The key of each row, made of its content and of what else its outcome depends on."""
    if not rows:
        return []
    adapter = _adapter(type(rows[0]))
    contents = [[adapter.dump_python(row, mode="json"), beside.get(row.id)] for row in rows]
    return [(row.id, digest(content)) for row, content in zip(rows, contents, strict=True)]


@cache
def _adapter(kind: type[HasId]) -> TypeAdapter[HasId]:
    return TypeAdapter(kind)


def digest(content: object) -> str:
    """A short digest of anything that JSON can express."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST).hexdigest()


def _check_ids(rows: Iterable[HasId], hashes: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Refuse ids that several rows have; only rows whose ids may be such are looked at again."""
    ordered = np.sort(hashes)
    doubtful = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not doubtful:
        return
    counts = Counter(row.id for row in rows if hash(row.id) in doubtful)
    if repeated := [row_id for row_id, times in counts.items() if times > 1]:
        raise UserError(
            f"{len(repeated)} ids are given to several rows, such as {repeated[0]}; make them differ."
        )
