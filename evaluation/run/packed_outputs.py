"""Files of outputs by their keys: arrays of all of them end to end, and how much of them each has."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evaluation.protocols.output import Output
from mmedit_build.errors import UserError
from mmedit_build.files import open_file
from mmedit_build.store import write_atomic

VERSION = 2
UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile, zlib.error)
"""What numpy, zipfile and JSON raise on files that are damaged."""


def save(folder: Path, outputs: Mapping[str, Output]) -> None:
    """Write outputs to a file of their own, named by which they are and whether they have free answers."""
    buffer = io.BytesIO()
    # Typed Any, as the stub takes the arrays for its own options.
    arrays: Any = pack(outputs)
    np.savez(buffer, **arrays)
    contents = [[key, one.text is None] for key, one in outputs.items()]
    name = hashlib.blake2b(json.dumps(contents).encode(), digest_size=8).hexdigest()
    write_atomic(folder / f"{name}.npz", buffer.getvalue())


def read(path: Path) -> dict[str, Output]:
    """The outputs that a file holds."""
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as packed:
            return unpack(dict(packed))
    except UNREADABLE as error:
        raise UserError(
            f"{path} does not hold outputs of an unedited model; delete it and run the same command again."
        ) from error


def pack(outputs: Mapping[str, Output]) -> dict[str, NDArray[Any]]:
    """Arrays of all outputs end to end, and how much of them each output has."""
    ones = list(outputs.values())
    about = {
        "version": VERSION,
        "keys": list(outputs),
        "texts": [one.text for one in ones],
        "written": [one.written for one in ones],
        "targets": [len(one.target) for one in ones],
        "positions": [-1 if one.top is None else len(one.top) for one in ones],
        "spread": [one.spread is not None for one in ones],
    }
    return {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "target": np.concatenate([one.target for one in ones]),
        "predicted": np.concatenate([one.predicted for one in ones]),
        "log_probs": np.concatenate([one.log_probs for one in ones]),
        "top": _stacked([one.top for one in ones], np.int32),
        "events": _stacked([one.events for one in ones], np.int32),
        "spreads": _stacked([one.spread for one in ones], np.float32),
    }


def unpack(packed: Mapping[str, NDArray[Any]]) -> dict[str, Output]:
    """The outputs that `pack` was given."""
    about = json.loads(packed["about"].tobytes())
    if about["version"] != VERSION:
        raise ValueError(f"version {about['version']}")
    targets, with_spread = about["targets"], about["spread"]
    of_target = {name: _cut(packed[name], targets) for name in ("target", "predicted", "log_probs")}
    tops = _cut(packed["top"], [max(0, length) for length in about["positions"]])
    lengths = [length if has else 0 for length, has in zip(targets, with_spread, strict=True)]
    events, spreads = _cut(packed["events"], lengths), _cut(packed["spreads"], lengths)
    return {
        key: Output(
            target=of_target["target"][i],
            predicted=of_target["predicted"][i],
            log_probs=of_target["log_probs"][i],
            top=None if about["positions"][i] < 0 else tops[i],
            events=events[i] if with_spread[i] else None,
            spread=spreads[i] if with_spread[i] else None,
            text=about["texts"][i],
            written=about["written"][i],
        )
        for i, key in enumerate(about["keys"])
    }


def _stacked(arrays: Sequence[NDArray[Any] | None], kind: type[np.generic]) -> NDArray[Any]:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else np.zeros((0, 0), kind)


def _cut(array: NDArray[Any], lengths: Sequence[int]) -> list[Any]:
    return np.split(array, np.cumsum(lengths)[:-1]) if lengths else []
