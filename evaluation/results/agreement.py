"""How far two ways to judge the same answers agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from evaluation.results.records import CaseResult
from evaluation.results.verdicts import MATCH, Verdict, judged_of

Pairs = Mapping[str, Sequence[tuple[bool, bool]]]
"""Of each edit's judged answers, whether they match, and whether they are judged right."""


def pairs(results: Iterable[CaseResult], verdicts: Iterable[Verdict]) -> Pairs:
    """Those of the edits that have any answer with a verdict."""
    right = {one.said: one.right for one in verdicts}
    found: dict[str, list[tuple[bool, bool]]] = {}
    for result in results:
        for probe in result.probes:
            said = judged_of(result.task, probe)
            verdict = None if said is None else right.get(said)
            if verdict is not None:
                found.setdefault(result.id, []).append((probe.scores["wild"][MATCH] == 1, verdict))
    return found


def shares(of: Pairs) -> dict[str, float]:
    """Of each edit, the share of answers of which both say the same."""
    return {name: sum(one == other for one, other in some) / len(some) for name, some in of.items()}


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
