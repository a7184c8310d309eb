"""What plans of stages come to: the most that is sent, paid and painted, and about how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmedit_build.build import Build
from mmedit_build.engine.pace import read_pace
from mmedit_build.recipe import Endpoint, Model, VisionModel
from mmedit_build.services.chat import ChatRequest
from mmedit_build.services.served.cost import estimate

TRIAL = 20
"""Rows by which a reader is told to measure how long a stage takes."""


@dataclass
class Bounds:
    """Says what each part of a plan takes at most, and sums it up."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Counter[str] = field(default_factory=Counter)
    """By currency."""
    unpriced: int = 0
    """Requests of models whose price the recipe does not state."""
    images: int = 0
    seconds: float = 0.0
    untimed: list[str] = field(default_factory=list)
    """What nobody knows the time of yet."""
    unbounded: list[str] = field(default_factory=list)
    """What nobody knows the requests of yet."""

    def served(
        self, model: Model | VisionModel | None, requests: Sequence[ChatRequest], build: Build | None = None
    ) -> list[str]:
        """What requests to a served model take; of no other is there anything to say. With a build, what its
        work folder holds already is not counted."""
        if not isinstance(model, Endpoint):
            return []
        will = estimate(model, requests, build.work.requests if build else None)
        self.requests += will.requests
        self.input_tokens += will.input_tokens
        self.output_tokens += will.output_tokens
        if will.cost is None or will.currency is None:
            cost = "no price is stated"
            self.unpriced += will.requests
        else:
            cost = f"about {will.cost:.2f} {will.currency} or less"
            self.cost[will.currency] += will.cost  # type: ignore[assignment]
        return [
            f"{will.requests:,} requests of about {will.input_tokens:,} tokens in and at most "
            f"{will.output_tokens:,} out: {cost}."
        ]

    def time(self, build: Build, stage: str, rows: int) -> list[str]:
        """How long the rows that are left take, as those took that the work folder has."""
        if not rows:
            return []
        pace = read_pace(build.work.stage(stage))
        if pace is None:
            self.untimed.append(stage)
            return []
        self.seconds += rows * pace.a_row
        return [
            f"takes one worker about {in_words(rows * pace.a_row)} for {rows:,} rows, at the "
            f"{pace.a_row:.3g} s of each of the {pace.rows:,} that are done."
        ]

    def summary(self) -> list[str]:
        """All plans together."""
        parts = []
        if self.requests:
            tokens = f"about {self.input_tokens:,} tokens in and {self.output_tokens:,} out"
            parts.append(f"{self.requests:,} requests, {tokens}")
            parts += [f"{cost:.2f} {currency}" for currency, cost in self.cost.items()]
        if self.unpriced:
            parts.append(f"the cost of {self.unpriced:,} of them, which no price is stated for")
        if self.images:
            parts.append(f"{self.images:,} images painted")
        if self.seconds:
            parts.append(f"about {in_words(self.seconds)} of one worker")
        besides = f", besides what {' and '.join(self.unbounded)} will ask" if self.unbounded else ""
        lines = [f"at most {'; '.join(parts)}{besides}."] if parts else []
        if self.untimed:
            stages = ", ".join(dict.fromkeys(self.untimed))
            lines.append(
                f"how long {stages} will take is not known yet: the command with `--limit {TRIAL}` measures "
                "it on a few rows, of which nothing is lost."
            )
        return lines


def in_words(seconds: float) -> str:
    """Hours and minutes, or what is shorter."""
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} hours and {minutes} minutes" if hours else f"{minutes} minutes"
