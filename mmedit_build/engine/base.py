"""The contract between stages and the engines that run them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    def open(self) -> None:
        """Load what is needed, once."""
        ...

    def __call__(self, rows: Sequence[In_contra]) -> Iterable[Out_co | Rejected[Any] | Failed]: ...
