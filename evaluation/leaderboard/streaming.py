"""Streams as a leaderboard takes them: free answers scored again, and all that has to fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from evaluation.data.probes import Asked
from evaluation.leaderboard.entries import Claim, Entry
from evaluation.leaderboard.keys import Key
from evaluation.leaderboard.rescoring import Fault, again
from evaluation.protocols import metrics
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.stream_summary import Stream, measured
from evaluation.results.streams import Checkpoint, Kept, Placed

Line = Checkpoint | Placed
_LINE: TypeAdapter[Line] = TypeAdapter(Line)
Place = tuple[str, str, str | None, str | None]
"""What tells a question: kind, item, relation, and the words where there is no item."""


@dataclass(frozen=True)
class StreamRow:
    """Streams that were accepted, scored again."""

    id: str
    entry: Entry
    stream: Stream


def stream_text(checkpoints: Sequence[Checkpoint], online: Sequence[Placed]) -> bytes:
    """The lines that are handed in."""
    lines: list[Line] = [*online, *checkpoints]
    return b"".join(_LINE.dump_json(one) + b"\n" for one in lines)


def stream_claims(entry_stream: Stream, protocols: Sequence[str]) -> dict[str, Claim]:
    """The mean of every column at every number of edits."""
    return {
        f"{protocol}/{number}/{column}": Claim(found.mean, found.edits)
        for protocol in protocols
        for number in entry_stream.numbers
        for column, found in measured(entry_stream, protocol, number).items()  # type: ignore[arg-type]
    }


def stream_again(entry: Entry, lines: bytes, key: Key, before: Mapping[str, CaseResult]) -> Stream:
    """The streams with every score that raw answers give computed anew; a Fault if one was another.

    `before` has the results of the unedited model by edit.
    """
    found = [_LINE.validate_json(line) for line in lines.splitlines()]
    scoring = _Scoring(key, before)
    online = [replace(one, result=scoring.case(one.result)) for one in found if isinstance(one, Placed)]
    checkpoints = [
        replace(
            one,
            retention=tuple(replace(of, result=scoring.case(of.result)) for of in one.retention),
            fixed=tuple(map(scoring.kept, one.fixed)),
        )
        for one in found
        if isinstance(one, Checkpoint)
    ]
    for fault in _misfits(entry, online, checkpoints):
        raise Fault(fault)
    return Stream(entry.header.settings.task, checkpoints, online)


class _Scoring:
    """What is asked by the key, and what the unedited model answers."""

    def __init__(self, key: Key, before: Mapping[str, CaseResult]) -> None:
        self._key = key
        self._before = before
        self._asked = {
            case.id: {_place(asked): asked for asked in of}
            for case, of in zip(key.cases, key.asked, strict=True)
        }
        self._items = {
            (asked.probe.kind, asked.probe.id): asked
            for of in key.asked
            for asked in of
            if asked.probe.id and asked.is_locality
        }

    def case(self, result: CaseResult) -> CaseResult:
        """An edit that was asked again."""
        if result.skipped is not None and result.probes:
            raise Fault(f"{result.id} is skipped and scored")
        asked, plain = self._asked.get(result.id), self._before.get(result.id)
        if asked is None:
            raise Fault(f"{result.id} is no edit of the dataset")
        if plain is None:
            raise Fault(f"the row of the unedited model lacks {result.id}")
        known = {_named(probe): probe for probe in plain.probes}
        probes = []
        for probe in result.probes:
            of = asked.get(_named(probe))
            if of is None or _named(probe) not in known:
                raise Fault(f"{probe.kind} of {result.id}: the dataset asks something else here")
            probes.append(again(result.id, probe, of, known[_named(probe)], self._key))
        return replace(result, probes=tuple(probes))

    def kept(self, one: Kept) -> Kept:
        """A question of the fixed set; of the train split, whose key is not here, what follows from words."""
        probe = one.result
        if probe.before is None or probe.after is None:
            return one
        if (wild := probe.scores.get("wild")) is None:
            return one
        if wild.get("unchanged") != metrics.unchanged(probe.before, probe.after):
            raise Fault(f"{probe.kind} {probe.item}: wild unchanged is not what the answers are")
        asked = self._items.get((probe.kind, probe.item))
        if asked is not None:
            right = [metrics.match(text, asked.probe.answers) == 1 for text in (probe.before, probe.after)]
            if [one.knew.get("wild"), one.knows.get("wild")] != right:
                raise Fault(f"{probe.kind} {probe.item}: what the model knows is not what it answers")
        return one


def _place(asked: Asked) -> Place:
    of = asked.probe
    return of.kind, of.id, of.relation, None if of.id else of.question


def _named(probe: ProbeResult) -> Place:
    return probe.kind, probe.item, probe.relation, None if probe.item else probe.question


def _misfits(entry: Entry, online: Sequence[Placed], checkpoints: Sequence[Checkpoint]) -> Iterator[str]:
    """What does not fit together."""
    made = {(one.order, one.position): one.result.id for one in online}
    if len(made) != len(online):
        yield "an edit of an order is there twice"
    if len({(one.order, one.edits) for one in checkpoints}) != len(checkpoints):
        yield "a checkpoint of an order is there twice"
    if not entry.header.finished or not checkpoints:
        yield "its streams are not finished"
    yield from _disordered(made)
    for one in checkpoints:
        yield from _untimely(one, made)


def _disordered(made: Mapping[tuple[int, int], str]) -> Iterator[str]:
    for order in sorted({order for order, _ in made}):
        of = sorted(position for at, position in made if at == order)
        if of != list(range(len(of))) or len({made[order, position] for position in of}) != len(of):
            yield f"order {order} is not one edit after the other, each once"


def _untimely(one: Checkpoint, made: Mapping[tuple[int, int], str]) -> Iterator[str]:
    for kept in one.retention:
        if kept.order != one.order or kept.position >= one.edits:
            yield "an edit is asked again that was not made yet"
        elif made.get((kept.order, kept.position)) != kept.result.id:
            yield f"{kept.result.id} is asked again at the place of another edit"
