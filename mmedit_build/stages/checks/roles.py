"""Whether two things have exchanged their roles, as in "is A above B" and "is B above A".

Each side of a relation or a verb is a set of words, what is asked for among them. If more of them stand
crosswise than as before, and at least two do, the roles are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmedit_build.stages.checks.deeds import Deed, deeds, verbs
from mmedit_build.stages.checks.relations import Relation, relations
from mmedit_build.stages.checks.trial import Trial

_ENOUGH = 2


def exchanges_roles(trial: Trial) -> bool:
    """Whether a relation or a deed is crosswise, or a thing is compared with itself."""
    asked, said = relations(trial.question), relations(trial.candidate)
    stems = verbs(trial.question) | verbs(trial.candidate)
    done, told = deeds(trial.question, stems), deeds(trial.candidate, stems)
    pairs = [(one, other) for one in asked for other in said if one.axis == other.axis]
    acts = [(one, other) for one in done for other in told if one.stem == other.stem]
    return _all_crosswise(pairs) or _all_crosswise(acts) or any(_is_alone(*pair) for pair in pairs)


def compares_another(trial: Trial) -> bool:
    """Whether one of two things that are compared is another one: cats with dogs, and cats with birds.

    A synonym is refused as well, which costs a candidate.
    """
    asked, said = relations(trial.question), relations(trial.candidate)
    pairs = [(one, other) for one in asked for other in said if one.compares and other.compares]
    return bool(pairs) and all(_replaces(*pair) for pair in pairs)


def _replaces(asked: Relation, said: Relation) -> bool:
    kept = [bool(one & other) for one, other in ((asked.one, said.one), (asked.other, said.other))]
    crosswise = [bool(one & other) for one, other in ((asked.one, said.other), (asked.other, said.one))]
    return sorted(kept) == [False, True] and not any(crosswise)


def keeps_roles(asked: Relation, said: Relation) -> bool:
    """Whether each thing stands on its side."""
    return _straight(asked, said) > _crossed(asked, said)


def _all_crosswise(pairs: Sequence[tuple[Relation, Relation]] | Sequence[tuple[Deed, Deed]]) -> bool:
    return bool(pairs) and all(_crossed(*pair) >= max(_ENOUGH, _straight(*pair) + 1) for pair in pairs)


def _straight(asked: Relation | Deed, said: Relation | Deed) -> int:
    return len(asked.one & said.one) + len(asked.other & said.other)


def _crossed(asked: Relation | Deed, said: Relation | Deed) -> int:
    return len(asked.one & said.other) + len(asked.other & said.one)


def _is_alone(asked: Relation, said: Relation) -> bool:
    return said.one == said.other and asked.one != asked.other
