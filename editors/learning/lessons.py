"""Train edits as learning editors use them: each query computed once as far as no edit can change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from editors.base import Edit, TrainEdit
from mmedit_build.mllm import MLLM, Below, Query
from mmedit_build.mllm.below import joined
from mmedit_build.pictures import image_key

CHUNK = 32
"""Edits that are prepared at a time."""

Value = TypeVar("Value")


@dataclass(slots=True)
class Budget:
    """Bytes that may still be kept."""

    left: int

    def take(self, size: int) -> bool:
        """Whether so much more may be kept; once something does not fit, nothing more does."""
        if size > self.left:
            self.left = 0
            return False
        self.left -= size
        return True


class Kept(Generic[Value]):
    """Values by number, computed once as long as the budget lasts, and whenever they are asked for after it.

    In other batches the last bits of a value can be others: what shall not depend on the order of questions
    is prepared before them.
    """

    def __init__(
        self,
        budget: Budget,
        compute: Callable[[Sequence[int]], Iterable[Value]],
        size: Callable[[Value], int],
    ) -> None:
        self._budget = budget
        self._compute = compute
        self._size = size
        self._values: dict[int, Value] = {}

    def of(self, numbers: Sequence[int]) -> list[Value]:
        """The values of these numbers, in order."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._values]
        found = dict(zip(missing, self._compute(missing), strict=True)) if missing else {}
        for number, value in found.items():
            if self._budget.take(self._size(value)):
                self._values[number] = value
        return [found[number] if number in found else self._values[number] for number in numbers]

    def prepare(self, numbers: Sequence[int]) -> None:
        """Compute these ahead, part by part, as far as they can be kept."""
        distinct = list(dict.fromkeys(numbers))
        for start in range(0, len(distinct), CHUNK):
            if self._budget.left > 0:
                self.of(distinct[start : start + CHUNK])


@dataclass(frozen=True, slots=True)
class Lesson:
    """A train edit, its queries as numbers in a pool."""

    edit: Edit
    inner: int
    """The edit's own query."""
    text_rephrase: int
    """The edit's own where it has none."""
    image_rephrase: int
    text_locality: tuple[int, ...]
    image_locality: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every query of the edit."""
        rephrases = (self.text_rephrase, self.image_rephrase)
        return (self.inner, *rephrases, *self.text_locality, *self.image_locality)


class Pool:
    """Queries, equal ones once, and what is known of them at decoder layers."""

    def __init__(self, mllm: MLLM, limit: int) -> None:
        self.budget = Budget(limit)
        self._mllm = mllm
        self._queries: list[Query] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._lifted: dict[int, Kept[Below]] = {}

    def lesson(self, train: TrainEdit) -> Lesson:
        """The train edit with its queries in the pool."""
        inner = self.add(train.edit.query)
        return Lesson(
            train.edit,
            inner,
            inner if train.text_rephrase is None else self.add(train.text_rephrase),
            inner if train.image_rephrase is None else self.add(train.image_rephrase),
            tuple(map(self.add, train.text_locality)),
            tuple(map(self.add, train.image_locality)),
        )

    def add(self, query: Query) -> int:
        """The number of a query."""
        image = "" if query.image is None else image_key(query.image)
        number = self._numbers.setdefault((image, query.prompt, query.target, query.form), len(self._queries))
        if number == len(self._queries):
            self._queries.append(query)
        return number

    def queries(self, numbers: Sequence[int]) -> list[Query]:
        """The queries of these numbers."""
        return [self._queries[number] for number in numbers]

    def below(self, numbers: Sequence[int], layer: int) -> Below:
        """The queries of these numbers (at least one) at the input of a layer."""
        return joined(self._at(layer).of(numbers))

    def prepare(self, numbers: Sequence[int], layer: int) -> None:
        """Compute queries up to the layer ahead, as far as they can be kept."""
        self._at(layer).prepare(numbers)

    def _at(self, layer: int) -> Kept[Below]:
        def lift(numbers: Sequence[int]) -> list[Below]:
            below = self._mllm.below(self.queries(numbers), layer)
            return [below.take([i]) for i in range(len(below))]

        return self._lifted.setdefault(layer, Kept(self.budget, lift, lambda below: below.nbytes))
