"""How far two ways to judge the same answers agree."""

from __future__ import annotations

from collections.abc import Collection


def kappa(pairs: Collection[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa: agreement beyond what the shares of yes on either side bring by chance.

    None where there is nothing beyond it, as all answers are the same on both sides, or where there are none.
    """
    if not pairs:
        return None
    number = len(pairs)
    agree = sum(one == other for one, other in pairs) / number
    first, second = (sum(pair[side] for pair in pairs) / number for side in (0, 1))
    by_chance = first * second + (1 - first) * (1 - second)
    return None if by_chance == 1 else (agree - by_chance) / (1 - by_chance)
