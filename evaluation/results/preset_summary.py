"""From the results of a stream that a publication describes to the rates that it reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.presets import GAPS, PRESETS, Column, PresetName, groups
from evaluation.results.stream_summary import Stream
from evaluation.results.streams import Placed
from evaluation.results.summary import Estimate, Measure, estimate, values
from mmedit_build.rows import Split, Task

SPLITS: dict[str, Split] = {"TrainR": "train", "TestR": "test"}
"""Rates of T-Patcher that are of no edits."""


@dataclass(frozen=True, slots=True)
class Row:
    """The rates at one gap, or of one number of edits."""

    number: int
    tests: int
    """Edits that were asked about, whether or not they could be made."""
    rates: Mapping[str, Estimate]
    uneven: int = 0
    """How many edits the last group has, if it has fewer than the others."""


def rows(stream: Stream, preset: PresetName, edits: int, protocol: ProtocolName) -> list[Row]:
    """The rows of a stream of so many edits, as far as they are there."""
    if preset == "t-patcher":
        return [_retained(stream, protocol)]
    dealt = _by_gap(stream) if preset == "vlkeb-gap" else _by_size(stream, edits)
    columns = PRESETS[preset].columns
    return [
        Row(number, len(placed), _rates(stream.task, protocol, columns, placed), uneven)
        for number, uneven, placed in dealt
        if placed
    ]


def measure(task: Task, protocol: ProtocolName, column: Column) -> Measure:
    """What a rate is: the paper's score if forced along the target, and ours of free answers."""
    score = column.legacy if protocol == "legacy" else PROTOCOLS[protocol].main(task, column.kind)
    return Measure(protocol, column.kind, score, column.relation)


def _by_gap(stream: Stream) -> Iterator[tuple[int, int, list[Placed]]]:
    for gap in GAPS:
        asked = ((of.edits, one) for of in stream.checkpoints for one in of.retention)
        yield gap, 0, [one for edits, one in asked if edits - 1 - one.position == gap]


def _by_size(stream: Stream, edits: int) -> Iterator[tuple[int, int, list[Placed]]]:
    asked = {of.order: of.retention for of in stream.checkpoints}
    found: dict[int, list[Placed]] = {}
    last: dict[int, int] = {}
    for order, (size, places) in enumerate(groups(edits)):
        found.setdefault(size, []).extend(asked.get(order, ()))
        last[size] = len(places)
    for size, placed in found.items():
        yield size, last[size] if last[size] < size else 0, placed


def _retained(stream: Stream, protocol: ProtocolName) -> Row:
    columns = PRESETS["t-patcher"].columns
    (end,) = stream.checkpoints[-1:]
    just_after = {title: columns[title] for title in ("SR", "GR")}
    at_the_end = {"ER": columns["ER"]}
    rates = _rates(stream.task, protocol, just_after, stream.online)
    rates |= _rates(stream.task, protocol, at_the_end, end.retention)
    for title, split in SPLITS.items():
        right = [one for one in end.fixed if one.split == split and one.knew[protocol]]
        found = _estimated(
            {str(place): (float(one.knows[protocol]), one.image) for place, one in enumerate(right)}
        )
        rates |= {} if found is None else {title: found}
    return Row(end.edits, len(end.retention), rates)


def _rates(
    task: Task, protocol: ProtocolName, columns: Mapping[str, Column], placed: Sequence[Placed]
) -> dict[str, Estimate]:
    found = {
        title: _estimated(_values(placed, measure(task, protocol, column)))
        for title, column in columns.items()
    }
    return {title: one for title, one in found.items() if one is not None}


def _values(placed: Iterable[Placed], of: Measure) -> dict[str, tuple[float, str]]:
    """By edit, its value and its image."""
    return {
        f"{one.order}/{one.result.id}": (value, one.result.image_id)
        for one in placed
        for value in values([one.result], of).values()
    }


def _estimated(found: Mapping[str, tuple[float, str]]) -> Estimate | None:
    numbers, images = ({name: one[part] for name, one in found.items()} for part in (0, 1))
    return estimate(numbers, images, share=True)  # type: ignore[arg-type]
