"""Results scored again from their raw answers, and what can be told of the scores that need more.

Wild scores follow from answers and key, but for the divergence. What legacy scores and the divergence are
taken of, the likeliest tokens and their probabilities, is not kept; they have to be numbers that they can be,
and to agree with each other, with the log-probabilities and with the unedited model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest
from math import isclose, log

import numpy as np

from evaluation.data.probes import Asked
from evaluation.leaderboard.keys import Key
from evaluation.protocols.wild import Wild
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import Results

EXACT = 1e-9
"""How far a number may lie from what comes out again."""
ROUNDING = 1e-3
"""The same of log-probabilities of the unedited model, which sums of other shapes round otherwise."""
SURE = -log(2) + ROUNDING
"""A target likelier than this has no token that another one is likelier than."""
POSITIONS = 1 << 15
"""Of a row, at most."""
_WILD = Wild()


class Fault(Exception):  # noqa: N818 - what is at fault is what was handed in
    """What does not come out, as a part of a sentence."""


def scored_again(results: Sequence[CaseResult], key: Key, before: Mapping[str, CaseResult] | None) -> Results:
    """The results with every score that raw answers give computed anew; a Fault if one was another.

    `before` has the results of the unedited model by edit; None if these are its own.
    """
    return Results(
        _again(result, asked, key, None if before is None else before[result.id])
        for result, asked in zip(results, key.asked, strict=False)
    )


def _again(result: CaseResult, asked: Sequence[Asked], key: Key, before: CaseResult | None) -> CaseResult:
    if result.skipped is not None:
        if result.probes:
            raise Fault(f"{result.id} is skipped and scored")
        return result
    if len(result.probes) != len(asked):
        raise Fault(f"{result.id} has {len(result.probes)} answers to {len(asked)} questions")
    unedited = () if before is None else before.probes
    if before is not None and len(unedited) != len(asked):
        raise Fault(f"{result.id} was skipped by the unedited model")
    probes = []
    for probe, question, plain in zip_longest(result.probes, asked, unedited):
        probes.append(again(result.id, probe, question, plain, key))
    return replace(result, probes=tuple(probes))


def again(name: str, probe: ProbeResult, asked: Asked, plain: ProbeResult | None, key: Key) -> ProbeResult:
    """A probe of an edit scored anew; `plain` is that of the unedited model, None if this is its own."""
    try:
        found = _probe_again(probe, asked, plain or probe, key)
        _check(probe, plain)
    except Fault as fault:
        raise Fault(f"{_named(probe)} of {name}: {fault}") from None
    return found


def _named(probe: ProbeResult) -> str:
    return " ".join(filter(None, [probe.kind, probe.item]))


def _probe_again(probe: ProbeResult, asked: Asked, plain: ProbeResult, key: Key) -> ProbeResult:
    of = asked.probe
    if (probe.kind, probe.item, probe.relation) != (of.kind, of.id, of.relation):
        raise Fault("the dataset asks something else here")
    if (probe.question, probe.target) != (of.question, of.answers[0]):
        raise Fault("question and target are not those of the dataset")
    if (probe.before, probe.known) != (plain.before, plain.known):
        raise Fault("what the unedited model answers and knows is not what its own row says")
    _check_log_probs(probe, plain)
    claimed = probe.scores.get("wild")
    if claimed is None:
        return probe
    if probe.before is None or probe.after is None:
        raise Fault("there are scores of free answers, and no answers")
    found = _WILD.of_words(asked, probe.before, probe.after, key.consensus)
    if asked.is_locality:
        found["kl"] = claimed.get("kl", -1.0)
    _compare(claimed, found)
    return replace(probe, scores={**probe.scores, "wild": found})


def _check_log_probs(probe: ProbeResult, plain: ProbeResult) -> None:
    if probe.log_prob_before is None or plain.log_prob_before is None or probe.log_prob_after is None:
        raise Fault("there are no log-probabilities, as of served models, whose answers nobody can run again")
    if abs(probe.log_prob_before - plain.log_prob_before) > ROUNDING:
        raise Fault("the unedited model's log-probability is not that of its own row")


def _compare(claimed: Mapping[str, float], found: Mapping[str, float]) -> None:
    if claimed.keys() != found.keys():
        raise Fault(f"there are scores {', '.join(claimed)} and not {', '.join(found)}")
    for name, score in found.items():
        if abs(claimed[name] - score) > EXACT:
            raise Fault(f"wild {name} is given as {claimed[name]:.12g}, and comes out as {score:.12g}")


def _check(probe: ProbeResult, plain: ProbeResult | None) -> None:
    """Refuse numbers that cannot be, alone or together; `plain` is None for the unedited model's own."""
    for fault in (*_impossible(probe), *(_edited(probe) if plain is None else ())):
        raise Fault(fault)


def _impossible(probe: ProbeResult) -> Iterator[str]:
    if probe.log_prob_after is None or probe.log_prob_after > ROUNDING:
        yield "a probability is above 1"
    if not probe.target_tokens:
        yield "the target has no tokens"
    elif "legacy" in probe.scores:
        check = _kept if _is_locality(probe) else _changed
        yield from check(probe, probe.scores["legacy"])


def _kept(probe: ProbeResult, legacy: Mapping[str, float]) -> Iterator[str]:
    if legacy.keys() != {"top1", "top10", "answer_top1"}:
        yield f"legacy scores of locality are not {', '.join(legacy)}"
    elif not _counts(legacy["answer_top1"], probe.target_tokens):
        yield f"{legacy['answer_top1']:.12g} is no share of {probe.target_tokens} tokens"
    elif not _ranks(legacy["top1"], legacy["top10"], probe.target_tokens):
        yield "top1 and top10 cannot be of the same positions"


def _changed(probe: ProbeResult, legacy: Mapping[str, float]) -> Iterator[str]:
    if legacy.keys() != {"exact_match", "token_accuracy"}:
        yield f"legacy scores of what an edit changes are not {', '.join(legacy)}"
        return
    share = legacy["token_accuracy"]
    if not _counts(share, probe.target_tokens):
        yield f"{share:.12g} is no share of {probe.target_tokens} tokens"
    elif legacy["exact_match"] != float(share == 1):
        yield "exact match and token accuracy do not agree"
    elif (probe.log_prob_after or 0.0) > SURE and share != 1:
        yield "the target is likelier than all else together, and yet no match"


def _is_locality(probe: ProbeResult) -> bool:
    return probe.kind in ("text_locality", "image_locality")


def _counts(share: float, number: int) -> bool:
    """Whether a share can be of so many things."""
    return isclose(share * number, round(share * number), abs_tol=EXACT)


@lru_cache(maxsize=1 << 16)
def _ranks(top1: float, top10: float, least: int) -> bool:
    """Whether there is a number of positions that both can be shares of, the second of ten ranks each."""
    if not top1 / 10 - EXACT <= top10 <= 0.9 + top1 / 10 + EXACT:
        return False
    positions = np.arange(least, POSITIONS)
    firsts, all_ranks = top1 * positions, top10 * 10 * positions
    # Not looser for many positions: among thousands of them, almost any number would fit one.
    fits = (abs(firsts - firsts.round()) <= EXACT) & (abs(all_ranks - all_ranks.round()) <= EXACT)
    return bool(fits.any())


def _edited(probe: ProbeResult) -> Iterator[str]:
    """What tells that a row of the unedited model is not its own."""
    same = (probe.before, probe.log_prob_before) == (probe.after, probe.log_prob_after)
    kept = [score for of in probe.scores.values() for name, score in of.items() if name in _KEPT]
    if not same or any(score != 1 for score in kept) or probe.scores.get("wild", {}).get("kl", 0.0):
        yield "the unedited model answers otherwise than before"


_KEPT = ("unchanged", "top1", "top10", "answer_top1")


def check_protocols(results: Sequence[CaseResult], names: Sequence[str]) -> None:
    """Refuse scores of other protocols than the header says."""
    for result in results:
        for probe in result.probes:
            if {*probe.scores} != {*names}:
                raise Fault(f"{result.id} is not scored by {' and '.join(names)}, as the header says")
