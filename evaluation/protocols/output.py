"""What a model gives to a probe, reduced to what scores need: a few numbers a position, never all logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.protocols.metrics import Floats, Ids


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A model's output for one probe."""

    target: Ids
    """The tokens that scoring was forced along (T)."""
    predicted: Ids
    """The likeliest token in the place of each (T)."""
    log_probs: Floats
    """Of the target tokens (T)."""
    top: Ids | None = None
    """Of locality probes: the likeliest tokens at all positions (P, 10)."""
    events: Ids | None = None
    """Of locality probes: the likeliest tokens of the unedited model at the target's positions (T, K)."""
    spread: Floats | None = None
    """Log-probabilities of `events`, and in the last column of all other tokens together (T, K + 1)."""
    text: str | None = None
    """What the model wrote; None if it was not let write."""
    written: int = 0
    """In how many tokens."""

    @classmethod
    def of_words(cls, text: str) -> Output:
        """Of a model that only answers."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), text=text)


def log_prob(output: Output) -> float | None:
    """log p(target | image, prompt); None of a model that only answers, as targets have tokens."""
    if not len(output.target):
        return None
    return float(output.log_probs.astype(np.float64).sum())
