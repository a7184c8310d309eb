"""Outputs of the unedited model, computed once for each probe and kept on disk.

A folder belongs to one model and one dataset; a record is found by everything that its query is made of, so
that other prompts are other records. Files are written whole and never changed: what a run adds goes into a
file of its own, and an interrupted run has lost the last one at most.

Free answers cost most, so a record has them only once a run wants the protocol that reads them; they then
join what is known. All else is the same whichever protocols are wanted, and so are all numbers, whatever was
asked for first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from editors.base import Model
from editors.keys import model_key
from editors.patches.overlays import take
from evaluation.data.pictures import key_of_image
from evaluation.data.probes import Asked
from evaluation.protocols.output import Output
from evaluation.run.outputs import Measure
from evaluation.run.packed_outputs import VERSION, read, save
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.storage.copies import refresh

CHUNK = 128
"""Probes that are asked and saved together."""
Lifting = Callable[[Sequence[Asked]], Sequence[Query]]
"""The queries of probes, which may be known up to a layer."""


@dataclass
class BaseOutputs:
    """What is known of the unedited model, in memory and in a folder."""

    folder: Path
    known: dict[str, Output] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why there is no output for a probe, such as a broken image; tried again by the next run."""
    _read: set[Path] = field(default_factory=set)

    @classmethod
    def open(cls, folder: Path) -> BaseOutputs:
        """Read what earlier runs left."""
        outputs = cls(folder)
        outputs.reread()
        return outputs

    def reread(self) -> None:
        """Read what other workers have added since."""
        refresh(self.folder)
        for path in sorted(self.folder.glob("*.npz")):
            if path not in self._read:
                self._read.add(path)
                self._add(read(path))

    def of(self, probes: Sequence[Asked]) -> list[Output]:
        """The outputs for probes; a UserError if one of them failed."""
        keys = [key_of(probe) for probe in probes]
        reason = next((self.failed[key] for key in keys if key in self.failed), None)
        if reason is not None:
            raise UserError(reason)
        return [self.known[key] for key in keys]

    def knows(self, probes: Sequence[Asked]) -> bool:
        keys = [key_of(probe) for probe in probes]
        return all(key in self.known and key not in self.failed for key in keys)

    def complete(
        self,
        mllm: MLLM,
        probes: Sequence[Asked],
        *,
        write: bool,
        batch_size: int,
        advance: Callable[[int], None],
        lift: Lifting | None = None,
    ) -> None:
        """Ask for what the protocols need and is not known yet; `advance` hears of the probes done, known
        ones at once. `lift` gives what is known of queries that are asked."""
        missing = self.lacking(probes, write=write)
        advance(len(probes) - len(missing))
        measure = Measure(vocabulary(mllm), batch_size=batch_size)
        keys = list(missing)
        for start in range(0, len(keys), CHUNK):
            part = {key: missing[key] for key in keys[start : start + CHUNK]}
            try:
                found = self._asked(mllm, measure, part, write, lift or _queries)
            except UserError:
                found = self._one_by_one(mllm, measure, part, write)
            if found:
                save(self.folder, found)
            self._add(found)
            advance(len(part))

    def lacking(self, probes: Sequence[Asked], *, write: bool) -> dict[str, Asked]:
        """What is not known yet, by its keys."""
        return {key: probe for probe in probes if not self._has(key := key_of(probe), write)}

    def _has(self, key: str, written: bool) -> bool:
        output = self.known.get(key)
        return output is not None and (output.text is not None or not written)

    def _add(self, found: Mapping[str, Output]) -> None:
        """Take up outputs, but none with less than is known."""
        self.known.update({key: one for key, one in found.items() if not self._has(key, written=True)})

    def _one_by_one(
        self, mllm: MLLM, measure: Measure, part: Mapping[str, Asked], write: bool
    ) -> dict[str, Output]:
        found: dict[str, Output] = {}
        for key, probe in part.items():
            try:
                found.update(self._asked(mllm, measure, {key: probe}, write, _queries))
            except UserError as error:
                self.failed[key] = str(error)
        return found

    def _asked(
        self, mllm: MLLM, measure: Measure, probes: Mapping[str, Asked], write: bool, lift: Lifting
    ) -> dict[str, Output]:
        """Outputs for probes, of which those known may only lack what the model writes."""

        def lend(_: Sequence[int]) -> AbstractContextManager[Model]:
            return nullcontext(mllm)

        asked = list(probes.values())
        queries = lift(asked)
        new = [number for number, key in enumerate(probes) if key not in self.known]
        scored = iter(measure.scored(lend, [asked[i] for i in new], take(queries, new)))
        outputs = [self.known[key] if key in self.known else next(scored) for key in probes]
        if write:
            outputs = measure.written(lend, asked, queries, outputs)
        return dict(zip(probes, outputs, strict=True))


def _queries(probes: Sequence[Asked]) -> Sequence[Query]:
    return [probe.query for probe in probes]


def key_of(probe: Asked) -> str:
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
