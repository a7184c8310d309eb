"""From the results of a stream that a publication describes to the rates that it reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.presets import GAPS, PRESETS, Column, PresetName, groups
from evaluation.results.stream_summary import Stream
from evaluation.results.streams import Kept, Placed
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
    columns = PRESETS[preset].columns
    found = []
    for number, uneven, asked in placed(stream, preset, edits):
        rates = {
            title: _estimated(_values(of, measure(stream.task, protocol, columns[title])))
            for title, of in asked.items()
        }
        rates |= {title: _retained(of, protocol) for title, of in retained(stream, preset).items()}
        tests = len([*asked.values()][-1])
        found.append(Row(number, tests, {name: one for name, one in rates.items() if one}, uneven))
    return found


def placed(
    stream: Stream, preset: PresetName, edits: int
) -> Iterator[tuple[int, int, Mapping[str, Sequence[Placed]]]]:
    """For each row its number, how many edits the last group has if fewer, and by column what was asked."""
    if preset == "t-patcher":
        (end,) = stream.checkpoints[-1:]
        yield end.edits, 0, {"SR": stream.online, "GR": stream.online, "ER": end.retention}
        return
    for number, uneven, of in _by_gap(stream) if preset == "vlkeb-gap" else _by_size(stream, edits):
        if of:
            yield number, uneven, dict.fromkeys(PRESETS[preset].columns, of)


def retained(stream: Stream, preset: PresetName) -> Mapping[str, Sequence[Kept]]:
    """By the rates that are of no edits, what they are of."""
    if preset != "t-patcher":
        return {}
    (end,) = stream.checkpoints[-1:]
    return {title: [one for one in end.fixed if one.split == split] for title, split in SPLITS.items()}


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


def _retained(of: Sequence[Kept], protocol: ProtocolName) -> Estimate | None:
    known = [one for one in of if one.knew[protocol]]
    return _estimated({str(at): (float(one.knows[protocol]), one.image) for at, one in enumerate(known)})


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
