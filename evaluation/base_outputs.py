"""Outputs of the unedited model, computed once for each probe and kept on disk.

A folder belongs to one model and one dataset; a record is found by everything that its query is made of, so
that other prompts are other records. Files are written whole and never changed: what a run adds goes into a
file of its own, and an interrupted run has lost the last one at most.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from editors.keys import model_key
from evaluation.outputs import Measure, Output
from evaluation.pictures import key_of_image
from evaluation.probes import Probe
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.store import write_atomic

VERSION = 2
CHUNK = 128
"""Probes that are asked and saved together."""


@dataclass
class BaseOutputs:
    """What is known of the unedited model, in memory and in a folder."""

    folder: Path
    known: dict[str, Output] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why there is no output for a probe, such as a broken image; tried again by the next run."""

    @classmethod
    def open(cls, folder: Path) -> BaseOutputs:
        """Read what earlier runs left."""
        outputs = cls(folder)
        for path in sorted(folder.glob("*.npz")):
            outputs.known.update(_read(path))
        return outputs

    def of(self, probes: Sequence[Probe]) -> list[Output]:
        """The outputs for probes; a UserError if one of them failed."""
        keys = [key_of(probe) for probe in probes]
        reason = next((self.failed[key] for key in keys if key in self.failed), None)
        if reason is not None:
            raise UserError(reason)
        return [self.known[key] for key in keys]

    def knows(self, probes: Sequence[Probe]) -> bool:
        return all(key_of(probe) in self.known for probe in probes)

    def complete(
        self, mllm: MLLM, probes: Sequence[Probe], *, batch_size: int, advance: Callable[[int], None]
    ) -> None:
        """Ask for what is not known yet; `advance` hears of the probes done, known ones at once."""
        missing = {key: probe for probe in probes if (key := key_of(probe)) not in self.known}
        advance(len(probes) - len(missing))
        measure = Measure(vocabulary(mllm), batch_size=batch_size)
        keys = list(missing)
        for start in range(0, len(keys), CHUNK):
            part = {key: missing[key] for key in keys[start : start + CHUNK]}
            try:
                found = _asked(mllm, measure, part)
            except UserError:
                found = self._one_by_one(mllm, measure, part)
            if found:
                _save(self.folder, found)
            self.known.update(found)
            advance(len(part))

    def _one_by_one(self, mllm: MLLM, measure: Measure, part: Mapping[str, Probe]) -> dict[str, Output]:
        found: dict[str, Output] = {}
        for key, probe in part.items():
            try:
                found.update(_asked(mllm, measure, {key: probe}))
            except UserError as error:
                self.failed[key] = str(error)
        return found


def _asked(mllm: MLLM, measure: Measure, probes: Mapping[str, Probe]) -> dict[str, Output]:
    asked = list(probes.values())
    outputs = measure(lambda _: nullcontext(mllm), asked, [probe.query for probe in asked])
    return dict(zip(probes, outputs, strict=True))


def key_of(probe: Probe) -> str:
    """What an output depends on, but for the model."""
    parts = [
        key_of_image(probe.query.image),
        probe.query.prompt,
        probe.query.target,
        probe.new_tokens,
        probe.is_locality,
    ]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def folder_of(cache: Path, mllm: MLLM, dataset_digest: str) -> Path:
    """Where the outputs of a model on a dataset lie: decided by all that the queries do not hold."""
    about = [VERSION, model_key(mllm), mllm.question_prompt("{}"), mllm.stop_ids]
    model = hashlib.blake2b(json.dumps(about).encode(), digest_size=8).hexdigest()
    return cache / "unedited" / f"{model}-{dataset_digest[:16]}"


def vocabulary(mllm: MLLM) -> int:
    """How many logits there are at each position."""
    return int(mllm.embed_tokens.num_embeddings)


def _save(folder: Path, outputs: Mapping[str, Output]) -> None:
    buffer = io.BytesIO()
    # Typed Any, as the stub takes the arrays for its own options.
    arrays: Any = pack(outputs)
    np.savez(buffer, **arrays)
    name = hashlib.blake2b("".join(outputs).encode(), digest_size=8).hexdigest()
    write_atomic(folder / f"{name}.npz", buffer.getvalue())


def _read(path: Path) -> dict[str, Output]:
    try:
        with np.load(path, allow_pickle=False) as packed:
            return unpack(dict(packed))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
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
