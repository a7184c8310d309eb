"""How an audit counts: each measure has a judge, which says of one edit how much it found there.

Counts of a split are sums over its edits. What an edit is compared with, such as the edits of the other
split, is handed over once for the whole split.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.scoring.words import plain

Kind = Literal["never", "fault", "number"]
"""What a build of ours must not have; what makes a row doubtful; what only describes a dataset."""
Judge = Callable[[EditRow], tuple[int, int]]
"""How many parts of an edit were found, and how many were looked at."""
Briefing = Callable[[Sequence[EditRow], Sequence[EditRow]], Judge]
"""Makes the judge for the edits of one split, given these and those of the other split of the same task."""
Keys = Callable[[EditRow], Sequence[Hashable]]


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is counted in each split of each task."""

    name: str
    kind: Kind
    title: str
    definition: str
    briefing: Briefing


def rows(found: Callable[[EditRow], bool], among: Callable[[EditRow], bool] = lambda _: True) -> Briefing:
    """Counts edits, among those that the measure is about."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = among(edit)
        return int(looked and found(edit)), int(looked)

    return lambda _these, _others: judge


def items(
    found: Callable[[EditRow, LocalityItem], bool], among: Callable[[EditRow], Iterable[LocalityItem]]
) -> Briefing:
    """Counts locality items."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = list(among(edit))
        return sum(found(edit, item) for item in looked), len(looked)

    return lambda _these, _others: judge


def hops(found: Callable[[Hop], bool]) -> Briefing:
    """Counts questions of portability."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = hops_of(edit)
        return sum(map(found, looked)), len(looked)

    return lambda _these, _others: judge


def one_target(these: Sequence[EditRow], _others: Sequence[EditRow]) -> Judge:
    """Counts the edits whose question always has their target, among those whose question is asked where
    different things were predicted."""
    predictions: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for edit in these:
        if edit.task == "vqa" and edit.prediction:
            question = plain(edit.question)
            predictions.setdefault(question, set()).add(plain(edit.prediction))
            targets.setdefault(question, set()).add(plain(edit.target))

    def judge(edit: EditRow) -> tuple[int, int]:
        question = plain(edit.question)
        looked = len(predictions.get(question, ())) > 1
        return int(looked and len(targets[question]) == 1), int(looked)

    return judge


def shared(keys: Keys, with_keys: Keys | None = None) -> Briefing:
    """Counts what the other split has too; without another split nothing is looked at."""

    def briefing(_these: Sequence[EditRow], others: Sequence[EditRow]) -> Judge:
        there = {key for edit in others for key in (with_keys or keys)(edit)}

        def judge(edit: EditRow) -> tuple[int, int]:
            here = keys(edit) if others else []
            return sum(key in there for key in here), len(here)

        return judge

    return briefing


def unless_constant(keys: Keys, briefing: Briefing) -> Briefing:
    """Looks at nothing if all edits of both splits have one and the same key."""

    def checked(these: Sequence[EditRow], others: Sequence[EditRow]) -> Judge:
        different = {key for edit in (*these, *others) for key in keys(edit)}
        return briefing(these, others) if len(different) > 1 else lambda _: (0, 0)

    return checked


def constant(keys: Keys) -> Briefing:
    """Counts all edits if they have one and the same key, and none if not."""

    def briefing(these: Sequence[EditRow], _others: Sequence[EditRow]) -> Judge:
        same = len(these) > 1 and len({key for edit in these for key in keys(edit)}) == 1
        return lambda _: (int(same), 1)

    return briefing


def distinct(keys: Keys) -> Briefing:
    """Counts each key once."""

    def briefing(_these: Sequence[EditRow], _others: Sequence[EditRow]) -> Judge:
        seen: set[Hashable] = set()

        def judge(edit: EditRow) -> tuple[int, int]:
            here = keys(edit)
            new = set(here) - seen
            seen.update(new)
            return len(new), len(here)

        return judge

    return briefing
