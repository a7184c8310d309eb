"""Which questions the base model is asked to find enough failures: no more than it takes.

They are asked in rounds, in an order that the seed decides, each type of question for itself: as many as
should do at first, and more of the types that lack failures, until both splits have their sizes with all
types in balance, or nothing is left to ask. A type that runs out leaves its share to the others. The last
round asks all else about the images of the edits: what the base model knows of them makes quizzes and near
items.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import ceil

from mmedit_build.recipe import Sizes
from mmedit_build.rows import SPLITS, EditRow, Example, Split, Task
from mmedit_build.stages.borders import order, split_of
from mmedit_build.stages.select import placed

Type = tuple[Task, str]
Counts = Mapping[tuple[Task, str, Split], int]
"""Failures of each type and split."""
SPARE = 1.25
"""How many times more are asked than should do: some failures repeat others, or lie in the wrong split."""
GUESS = 0.5
"""The share of failures that the first round hopes for."""
LEAST_SHARE = 0.05
"""No type is taken to fail more seldom, lest a round ask everything."""
LEAST = 16
"""A further round asks at least so many of a type that lacks failures, since each opens the model anew."""


class Quotas:
    """The questions of each type, and how many failures are wanted."""

    def __init__(self, examples: Sequence[Example], sizes: Mapping[Task, Sizes], seed: str) -> None:
        self._sizes = sizes
        self._seed = seed
        self._examples = examples
        self._types: dict[Type, list[str]] = defaultdict(list)
        for row in sorted(examples, key=lambda row: order(seed, row.id)):
            self._types[row.task, row.question_type].append(row.id)

    def first(self) -> dict[Type, int]:
        """How many of each type are asked at first."""
        return self._more(dict.fromkeys(self._types, 0), Counter())

    def next(self, asked: Mapping[Type, int], found: Sequence[EditRow]) -> dict[Type, int]:
        """How many of each type are asked in all, next; the same as before where that will do."""
        rows = placed(found, self._sizes, self._seed)
        return self._more(asked, Counter((row.task, row.question_type, split_of(row)) for row in rows))

    def drawn(self, asked: Mapping[Type, int]) -> list[Example]:
        """So many of each type, in the order of the examples."""
        chosen = {name for kind, number in asked.items() for name in self._types[kind][:number]}
        return self._named(chosen)

    def with_company(self, asked: Mapping[Type, int], edits: Sequence[EditRow]) -> list[Example]:
        """The same, and all else about the images of edits."""
        images = {edit.image for edit in edits}
        chosen = {row.id for row in self.drawn(asked)}
        return self._named(chosen | {row.id for row in self._examples if row.image in images})

    def _named(self, names: set[str]) -> list[Example]:
        return [row for row in self._examples if row.id in names]

    def _more(self, asked: Mapping[Type, int], counts: Counts) -> dict[Type, int]:
        lacking = self._lacking(asked, counts)
        further: dict[Type, int] = {}
        for kind, number in asked.items():
            there = len(self._types[kind])
            found = sum(counts.get((*kind, split), 0) for split in SPLITS)
            share = max(found / number, LEAST_SHARE) if number else GUESS
            more = max(LEAST, ceil(SPARE * lacking[kind] / share), number // 2) if lacking[kind] else 0
            further[kind] = min(there, number + more)
        return further

    def _lacking(self, asked: Mapping[Type, int], counts: Counts) -> Counter[Type]:
        """How many failures each type lacks of its share, as far as there are questions left to ask."""
        lacking: Counter[Type] = Counter()
        for task, size in self._sizes.items():
            kinds = [kind for kind in self._types if kind[0] == task]
            for split in SPLITS:
                found = {kind: counts.get((*kind, split), 0) for kind in kinds}
                spent = {kind for kind in kinds if asked[kind] == len(self._types[kind])}
                share = _share(size.train if split == "train" else size.test, found, spent)
                for kind in found.keys() - spent:
                    lacking[kind] += max(0, share - found[kind])
        return lacking


def _share(wanted: int, found: Mapping[Type, int], spent: set[Type]) -> int:
    """How many each type has to have, so that all together are enough; spent ones have no more than found."""
    left = wanted
    going = sorted(found, key=lambda kind: found[kind] if kind in spent else wanted)
    for place, kind in enumerate(going):
        share = ceil(left / (len(going) - place))
        if kind not in spent or found[kind] >= share:
            return share
        left -= found[kind]
    return 0
