"""A folder of entries read back: each is checked and scored again, or refused with a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evaluation.leaderboard.entries import (
    MOST_BYTES,
    PACKED,
    RESULTS,
    VERDICTS,
    Claim,
    Entry,
    claims_of,
    key_place,
    parse_entry,
    sha256,
    unpacked,
)
from evaluation.leaderboard.judging import judged_again
from evaluation.leaderboard.keys import Key, read_key
from evaluation.leaderboard.ranking import counted
from evaluation.leaderboard.rescoring import EXACT, Fault, check_protocols, scored_again
from evaluation.leaderboard.streaming import StreamRow, stream_again, stream_claims
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.stored import Summed
from evaluation.results.summary import Results, count_skipped
from mmedit_build.errors import UserError, shortened
from mmedit_build.files import read_bytes

_LINE = TypeAdapter(CaseResult)
SAID_BYTES = 8
"""Of the digest of an answer."""


@dataclass(frozen=True)
class Row:
    """An entry that was accepted, with what is kept of its results, which were scored again."""

    id: str
    entry: Entry
    results: Results
    counted: Results
    """Them, with those of the unedited model where the method skipped an edit."""
    answers: Mapping[str, bytes]
    """Of each edit the digests of what was answered after it, one behind the other."""
    edits: int
    """How many the dataset has."""
    judge: str = ""
    judged: Mapping[str, Claim] = field(default_factory=dict)
    """The means of what the judge calls right, read again from the replies."""


@dataclass(frozen=True)
class Refusal:
    """One that was not, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}."


@dataclass
class Shelf:
    """All entries of a folder."""

    folder: Path
    rows: dict[str, Row] = field(default_factory=dict)
    """By their ids."""
    streams: dict[str, StreamRow] = field(default_factory=dict)
    """Entries of streams, by their ids."""
    refused: list[Refusal] = field(default_factory=list)
    _keys: dict[str, Key] = field(default_factory=dict)
    _plain: dict[str, Results] = field(default_factory=dict)
    """All results of the unedited models, as long as others are read."""

    @classmethod
    def read(cls, folder: Path) -> Shelf:
        """Those of the unedited model first, as the others are judged by them."""
        shelf = cls(folder)
        found = list(shelf._entries())
        if not found and not shelf.refused:
            raise UserError(
                f"There are no entries in {folder}; give a folder or a dataset on the Hub that "
                "mmedit-eval submit has put some into."
            )
        for place, entry in sorted(found, key=lambda one: (not one[1].unedited, one[1].streamed, one[0])):
            try:
                if entry.streamed:
                    shelf.streams[entry.id] = shelf._stream_row(place, entry)
                else:
                    shelf.rows[entry.id] = shelf._row(place, entry)
            except (Fault, ValueError, OSError) as error:
                shelf._refuse(place, _reason(error))
        shelf._plain.clear()
        return shelf

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        for path in sorted((self.folder / RESULTS).rglob("*.json")):
            place = path.relative_to(self.folder).with_suffix("").as_posix()
            try:
                yield place, parse_entry(read_bytes(path, MOST_BYTES))
            except (OSError, ValueError) as error:
                self._refuse(place, f"it is no entry of this version of mmedit ({_reason(error)})")
        packed = (self.folder / RESULTS).rglob(f"*{PACKED}")
        for path in sorted(packed):
            name = path.name.removesuffix(VERDICTS).removesuffix(PACKED)
            if not path.with_name(f"{name}.json").exists():
                place = path.relative_to(self.folder).as_posix().removesuffix(PACKED)
                self._refuse(place, "there are answers and nothing that says what they are of")

    def _refuse(self, place: str, reason: str) -> None:
        self.refused.append(Refusal(place, reason))

    def _lines(self, place: str, entry: Entry) -> bytes:
        """The answers of an entry that stands where it belongs."""
        of = entry.header.settings
        if entry.place != place:
            raise Fault(f"by what it holds it belongs to {entry.place}, so it was altered or moved")
        if of.split != "test":
            raise Fault(f"it is of the {of.split} split, and only test counts")
        lines = unpacked(self.folder / f"{place}{PACKED}")
        if sha256(lines) != entry.answers:
            raise Fault("the answers are not those that it was handed in with")
        return lines

    def _row(self, place: str, entry: Entry) -> Row:
        of = entry.header.settings
        results = [_LINE.validate_json(line) for line in self._lines(place, entry).splitlines()]
        key = self._key(of.dataset_digest)
        _check_counts(entry, results, key)
        check_protocols(results, of.protocols)
        again = scored_again(results, key, self._before(entry, results))
        _check_claims(entry.claims, claims_of(again))
        judged = self._judged(place, entry, again)
        if entry.unedited:
            self._plain[entry.id] = again
        whole = again if entry.unedited else counted(again, self._base(entry))
        kept = Summed.of(again)
        answers = {result.id: b"".join(map(_said, result.probes)) for result in again}
        filled = kept if whole is again else Summed.of(whole)
        return Row(entry.id, entry, kept, filled, answers, len(key.cases), *judged)

    def _judged(self, place: str, entry: Entry, results: Results) -> tuple[str, Mapping[str, Claim]]:
        """Who judged the answers, and what came of it."""
        path = self.folder / f"{place}{VERDICTS}"
        if not entry.verdicts and not path.exists():
            return "", {}
        lines = unpacked(path)
        if sha256(lines) != entry.verdicts:
            raise Fault("the verdicts are not those that it was handed in with")
        judge, found = judged_again(lines, results)
        _check_claims(entry.judged, found)
        return judge, found

    def _stream_row(self, place: str, entry: Entry) -> StreamRow:
        lines, of = self._lines(place, entry), entry.header.settings
        base = self._base(entry)
        key = self._key(of.dataset_digest)
        stream = stream_again(entry, lines, key, {result.id: result for result in base})
        _check_claims(entry.claims, stream_claims(stream, of.protocols))
        return StreamRow(entry.id, entry, stream)

    def _key(self, digest: str) -> Key:
        if digest not in self._keys:
            path = self.folder / key_place(digest)
            if not path.exists():
                raise Fault(f"the key of its dataset is missing ({key_place(digest)})")
            self._keys[digest] = read_key(unpacked(path))
        key = self._keys[digest]
        if key.digest != digest:
            raise Fault(f"{key_place(digest)} is the key of another dataset, {key.digest}")
        return key

    def _before(self, entry: Entry, results: list[CaseResult]) -> dict[str, CaseResult] | None:
        """The results of the unedited model for each edit."""
        if entry.unedited:
            return None
        known = {result.id: result for result in self._base(entry)}
        for result in results:
            if result.id not in known:
                raise Fault(f"the row of the unedited model lacks {result.id}")
            if _about(result) != _about(known[result.id]):
                raise Fault(f"{result.id} is described otherwise than in the row of the unedited model")
        return known

    def _base(self, entry: Entry) -> Results:
        """The results of the unedited model that an entry is judged by."""
        base = self.rows.get(entry.base or "")
        if base is None:
            raise Fault(f"the row of the unedited model, {entry.base}, is missing or refused")
        if not _same_setup(entry, base.entry):
            raise Fault(
                f"the row of the unedited model, {entry.base}, is of another model, dataset or way of asking"
            )
        return self._plain[base.id]


def _same_setup(one: Entry, other: Entry) -> bool:
    first, second = one.header.settings, other.header.settings
    alike = ("model_digest", "dataset_digest", "task", "split", "prompts", "template", "protocols")
    same = all(getattr(first, name) == getattr(second, name) for name in alike)
    return same and other.unedited and one.header.dtype == other.header.dtype


def _said(probe: ProbeResult) -> bytes:
    """Equal where the same was answered."""
    return hashlib.blake2b(repr(probe.after).encode(), digest_size=SAID_BYTES).digest()


def _about(result: CaseResult) -> tuple[str, ...]:
    return result.image_id, result.question, result.question_type, result.target


def _check_counts(entry: Entry, results: list[CaseResult], key: Key) -> None:
    header = entry.header
    names = [case.id for case in key.cases]
    if not header.finished:
        raise Fault("its run is not finished")
    if header.edits != len(results) or [result.id for result in results] != names[: len(results)]:
        raise Fault(f"it should have the first {header.edits:,} edits of the dataset, once each and in order")
    if entry.limited != (len(results) < len(names)):
        raise Fault(f"it has {len(results):,} of {len(names):,} edits, and says otherwise")
    if any(result.task != header.settings.task for result in results):
        raise Fault("some results are of another task")
    skipped = count_skipped(results)
    if (header.scored, header.skipped) != (len(results) - sum(skipped.values()), skipped):
        raise Fault("the header counts other edits as scored or skipped than there are")
    seconds = sum(result.plan_seconds + result.probe_seconds for result in results)
    if abs(header.seconds - seconds) > EXACT * max(1.0, seconds):
        raise Fault(f"the header says {header.seconds:.3f} s, and its edits took {seconds:.3f} s")


def _check_claims(claimed: Mapping[str, Claim], found: Mapping[str, Claim]) -> None:
    if claimed.keys() != found.keys():
        raise Fault("it claims other measures than its answers have")
    for name, claim in found.items():
        if claimed[name].edits != claim.edits or abs(claimed[name].mean - claim.mean) > EXACT:
            raise Fault(f"{name} is claimed as {claimed[name].mean:.12g}, and comes out as {claim.mean:.12g}")


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return shortened(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if isinstance(error, OSError):
        return f"its answers cannot be read, {error.strerror}"
    return shortened(str(error))
