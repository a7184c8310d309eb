"""The contracts between what is done, in stages or in evaluations, and the engines that have it done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Json = dict[str, Any]


class HasId(Protocol):
    @property
    def id(self) -> str: ...


In_contra = TypeVar("In_contra", bound=HasId, contravariant=True)
Out_co = TypeVar("Out_co", bound=HasId, covariant=True)
Out = TypeVar("Out", bound=HasId)


@dataclass(frozen=True, slots=True)
class Rejected(Generic[Out]):
    """A row that a stage looked at and does not pass on; `row` is as far as it got."""

    id: str
    reason: str
    """A few words that many rows share, as they are counted by it."""
    row: Out | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that a stage could not look at, such as a broken image; `--retry-failed` tries it again."""

    id: str
    reason: str


class Stage(Protocol[In_contra, Out_co]):
    """Maps the rows of one shard to outcomes, one for each row.

    It is pickled and opened once in each worker, and knows nothing of shards, retries or workers.
    """

    def devices(self) -> Sequence[str]:
        """Where its models run, as a recipe names it; none if all are served."""
        ...

    def open(self) -> None:
        """Load what is needed, once."""
        ...

    def __call__(self, rows: Sequence[In_contra]) -> Iterable[Out_co | Rejected[Any] | Failed]: ...


class Craft(Protocol):
    """What workers do with tasks. It is pickled, and opened once in each worker."""

    def devices(self) -> Sequence[str]:
        """As of stages."""
        ...

    def open(self) -> None:
        """Load what is needed, once."""
        ...

    def __call__(self, task: Any, give: Callable[[Any], None]) -> None:
        """Do a task, and give what comes of it piece by piece: what was given is safe, whatever follows."""
        ...


Take = Callable[[int, Any], None]
"""Hears of what is given, and of which task, by its place among those that are dealt. Where a worker dies and
its task is done again, pieces come again too."""


class Crew(Protocol):
    """Some workers that have opened one craft."""

    def deal(self, tasks: Iterable[Any], take: Take) -> None:
        """Have all tasks done, each by whoever is idle, who alone has it made; an error of one ends this once
        those under way are done."""
        ...


class Engine(Protocol):
    """A way to have workers."""

    def crew(self, craft: Craft, most: int) -> AbstractContextManager[Crew]:
        """At most so many workers, who end with the context however it ends."""
        ...
