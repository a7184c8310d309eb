"""Bounds on scores: the one place where a number decides about a row."""

from __future__ import annotations

import math


class NoNumberError(Exception):
    """A score that is NaN or infinite. It lies on neither side of a bound, so its row can only fail."""


def within(name: str, score: float, *, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a score is neither below the least nor above the most."""
    if not math.isfinite(score):
        raise NoNumberError(f"{name} is not a number")
    return least <= score <= most
