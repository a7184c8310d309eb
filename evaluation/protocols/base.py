"""What a protocol is: a way to judge probes, with what it needs for it and what its scores are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from evaluation.data.cases import LOCALITY, Kind
from evaluation.protocols.output import Output
from mmedit_build.rows import Task
from mmedit_build.scoring.caption import Consensus

if TYPE_CHECKING:
    from evaluation.data.probes import Asked

ProtocolName = Literal["legacy", "wild"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What is said of a score in tables and in `mmedit-eval list scores`."""

    title: str
    about: str
    percent: bool = True
    """Whether it is a share, shown times 100."""


class Protocol(ABC):
    """A protocol."""

    name: ClassVar[ProtocolName]
    title: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]]
    """By name, in the order of tables."""
    everywhere: ClassVar[bool] = False
    """Whether locality is looked at at all positions of a row."""
    writes: ClassVar[bool] = False
    """Whether the model answers freely."""
    spreads: ClassVar[bool] = False
    """Whether it compares how probability is spread over tokens before and after."""

    @abstractmethod
    def changed(self, asked: Asked, after: Output, consensus: Consensus | None) -> dict[str, float]:
        """Scores of what the edit shall change; captions are weighed by `consensus`."""

    @abstractmethod
    def kept(self, asked: Asked, before: Output, after: Output) -> dict[str, float]:
        """Scores of what it shall not."""

    @abstractmethod
    def knows(self, asked: Asked, output: Output) -> bool:
        """Whether the model answers right."""

    @abstractmethod
    def main(self, task: Task, kind: Kind) -> str:
        """The score of a kind of probe that stands in the main table."""

    def score(
        self, asked: Asked, before: Output, after: Output, consensus: Consensus | None
    ) -> dict[str, float]:
        """All scores of a probe."""
        if asked.kind in LOCALITY:
            return self.kept(asked, before, after)
        return self.changed(asked, after, consensus)
