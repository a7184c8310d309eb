"""The chains of a stream: which edits follow each other from the unedited model on, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.data.cases import Case, Kind
from evaluation.results import presets
from evaluation.results.presets import PresetName
from evaluation.run.streams.dealing import ordered, outdone, sampled


@dataclass(frozen=True, slots=True)
class Chain:
    """Some edits in their order."""

    order: int
    """Tells it from others of the stream."""
    cases: Sequence[Case]
    asked: Mapping[int, Sequence[int]]
    """By how many edits have been made, in ascending order: the positions, from 0, of those asked again."""
    kept: frozenset[int] = frozenset()
    """After how many edits what is made is kept on disk at once."""
    along: tuple[Kind, ...] = ()
    """What an edit is asked just after it was made, besides its own question."""

    @property
    def last(self) -> int:
        """After how many edits it ends."""
        return max(self.asked)


def own_chains(cases: Sequence[Case], numbers: Sequence[int], orders: int, seed: int) -> Iterator[Chain]:
    """Our own: all edits in several orders, of which a sample is asked again."""
    for order in range(orders):
        of_order = ordered(cases, seed, order)
        asked = {number: sampled(of_order, number, seed, order) for number in numbers}
        yield Chain(order, of_order, asked, frozenset(numbers))


def preset_chains(preset: PresetName, cases: Sequence[Case]) -> list[Chain]:
    """Those of a publication."""
    if preset == "vlkeb-gap":
        return [Chain(0, cases, _gaps(cases))]
    if preset == "t-patcher":
        return [Chain(0, cases, _all_at(len(cases), cases), along=("text_generality",))]
    chains = []
    for order, (_, places) in enumerate(presets.groups(len(cases))):
        group = [cases[place] for place in places]
        chains.append(Chain(order, group, _all_at(len(group), group)))
    return chains


def preset_cases(preset: PresetName, cases: Sequence[Case]) -> Sequence[Case]:
    """The edits that a publication's stream makes, of those that there are."""
    return cases[: presets.TESTS + max(presets.GAPS)] if preset == "vlkeb-gap" else cases


def _gaps(cases: Sequence[Case]) -> dict[int, list[int]]:
    """After each edit, those among the first that lie a gap before it."""
    found = {}
    for number in range(1, len(cases) + 1):
        places = {number - 1 - gap for gap in presets.GAPS if 0 <= number - 1 - gap < presets.TESTS}
        if asked := sorted(places - outdone(cases, number)):
            found[number] = asked
    return found


def _all_at(number: int, cases: Sequence[Case]) -> dict[int, list[int]]:
    return {number: sorted(set(range(number)) - outdone(cases, number))}
