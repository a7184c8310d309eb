"""Words that say the opposite, such as left and right."""

from __future__ import annotations

from collections.abc import Sequence

from mmedit_build.scoring.text import offers_alternatives, words
from mmedit_build.stages.checks.axes import AXES, PLACES
from mmedit_build.stages.checks.relations import relations
from mmedit_build.stages.checks.roles import keeps_roles
from mmedit_build.stages.checks.trial import FUNCTIONS, Trial


def says_the_opposite(question: str, candidate: str) -> bool:
    """Whether a pair such as left and right is turned round."""
    return turns_round(Trial(question, candidate, ()))


def turns_round(trial: Trial) -> bool:
    """Says the opposite, and not of the sides exchanged, as "a above b" is "b below a"."""
    asked, said = words(trial.question), words(trial.candidate)
    axes = [axis for axis in range(len(AXES)) if _differ(_poles(asked, axis), _poles(said, axis))]
    return any(not (_offers(trial, axis) or _stays_true(trial, axis, asked, said)) for axis in axes)


def _poles(text: Sequence[str], axis: int) -> set[int]:
    return {PLACES[word][1] for word in text if word in PLACES and PLACES[word][0] == axis}


def _differ(one: set[int], other: set[int]) -> bool:
    return bool(one and other) and one != other


def _offers(trial: Trial, axis: int) -> bool:
    """Whether both poles are there to choose from: "is it big or small?" asks how big it is."""
    texts = (trial.question, trial.candidate)
    return any(len(_poles(words(text), axis)) == 2 and offers_alternatives(text) for text in texts)


def _stays_true(trial: Trial, axis: int, asked: Sequence[str], said: Sequence[str]) -> bool:
    pairs = [
        (one, other)
        for one in relations(trial.question)
        for other in relations(trial.candidate)
        if one.axis == other.axis and axis in (one.word_axis, other.word_axis)
    ]
    return any(keeps_roles(*pair) for pair in pairs) if pairs else _exchanges_sides(asked, said)


def _exchanges_sides(asked: Sequence[str], said: Sequence[str]) -> bool:
    common = [word for word in asked if word in said and word not in FUNCTIONS and word not in PLACES]
    places = [said.index(word) for word in dict.fromkeys(common)]
    return places != sorted(places)
