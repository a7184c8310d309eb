"""From the checkpoints of streams to means with intervals, by how many edits have been made.

A mean is over all orders. Edits of one image, and one edit in several orders, are not independent: intervals
are over images, as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.data.cases import Kind
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.streams import Checkpoint, Placed
from evaluation.results.summary import Estimate, Measure, estimate, values
from mmedit_build.rows import Task

COLUMNS = {
    "Online": "Success just after the edit",
    "Kept": "Success of earlier edits",
    "T-Gen": "Text generality of earlier edits",
    "T-Loc": "Text locality, fixed set",
    "I-Loc": "Image locality, fixed set",
    "Ability": "General ability",
    "Lost old": "Forgotten, oldest third",
    "Lost mid": "Forgotten, middle third",
    "Lost new": "Forgotten, newest third",
}
"""What is measured at a checkpoint, by short title and in words."""
FORGOTTEN = tuple(title for title in COLUMNS if title.startswith("Lost"))
"""Differences, which can be less than nothing."""
Found = dict[tuple[int, str], float]
"""By order and by edit or probe."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A method's streams on one task."""

    task: Task
    checkpoints: Sequence[Checkpoint]
    online: Sequence[Placed]

    @property
    def numbers(self) -> list[int]:
        """After how many edits it was judged."""
        return sorted({one.edits for one in self.checkpoints})

    def at(self, number: int) -> list[Checkpoint]:
        """All orders."""
        return [one for one in self.checkpoints if one.edits == number]


def measured(stream: Stream, protocol: ProtocolName, number: int) -> dict[str, Estimate]:
    """What there is at a checkpoint, by column."""
    found = {
        column: estimate(_named(of), _named_images(of, images), share=column not in FORGOTTEN)
        for column, of, images in _columns(stream, protocol, number)
        if of
    }
    return {column: one for column, one in found.items() if one is not None}


def _columns(
    stream: Stream, protocol: ProtocolName, number: int
) -> Iterator[tuple[str, Found, Mapping[tuple[int, str], str]]]:
    """Each column with its values and their images."""
    before = max((one for one in stream.numbers if one < number), default=0)
    lately = [one for one in stream.online if before <= one.position < number]
    kept = [one for of in stream.at(number) for one in of.retention]
    yield "Online", *_edits(stream.task, protocol, "reliability", lately)
    yield "Kept", *_edits(stream.task, protocol, "reliability", kept)
    yield "T-Gen", *_edits(stream.task, protocol, "text_generality", kept)
    yield from _fixed(stream, protocol, number)
    first = _edits(stream.task, protocol, "reliability", stream.online)[0]
    for third, title in enumerate(FORGOTTEN):
        of_age = [one for one in kept if one.position * len(FORGOTTEN) // number == third]
        now, images = _edits(stream.task, protocol, "reliability", of_age)
        yield title, {name: first[name] - one for name, one in now.items() if name in first}, images


def _edits(
    task: Task, protocol: ProtocolName, kind: Kind, placed: Sequence[Placed]
) -> tuple[Found, dict[tuple[int, str], str]]:
    """The main score of a kind of probe, and the images."""
    measure = Measure(protocol, kind, PROTOCOLS[protocol].main(task, kind))
    found: Found = {}
    for one in placed:
        found |= {(one.order, name): value for name, value in values([one.result], measure).items()}
    return found, {(one.order, one.result.id): one.result.image_id for one in placed}


def _fixed(
    stream: Stream, protocol: ProtocolName, number: int
) -> Iterator[tuple[str, Found, dict[tuple[int, str], str]]]:
    """Locality against the unedited model, and what is left of what it answers right about images."""
    kinds: dict[str, Kind] = {"T-Loc": "text_locality", "I-Loc": "image_locality"}
    rows = [(of.order, str(place), one) for of in stream.at(number) for place, one in enumerate(of.fixed)]
    images = {(order, name): one.image for order, name, one in rows}
    for title, kind in kinds.items():
        score = PROTOCOLS[protocol].main(stream.task, kind)
        yield (
            title,
            {
                (order, name): one.result.scores[protocol][score]
                for order, name, one in rows
                if one.result.kind == kind
            },
            images,
        )
    known = [row for row in rows if row[2].result.kind == "image_locality" and row[2].knew[protocol]]
    yield "Ability", {(order, name): float(one.knows[protocol]) for order, name, one in known}, images


def _named(found: Found) -> dict[str, float]:
    return {f"{order}/{name}": value for (order, name), value in found.items()}


def _named_images(found: Found, images: Mapping[tuple[int, str], str]) -> dict[str, str]:
    return {f"{order}/{name}": images[order, name] for order, name in found}
