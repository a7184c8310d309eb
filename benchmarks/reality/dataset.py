"""Facts that a model knows as edits of them: each gets the answer of another fact of its relation.

All draws are by names and a seed, so the same facts give the same edits. What shall stay is drawn from the
facts of the same split: nothing that editors learn from is asked in test.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reality.knowing import Known
from evaluation.data.facts import Fact, Stays, write_facts
from mmedit_build.errors import UserError
from mmedit_build.rows import Split

KEPT = 3
"""Neighbors of each edit, and unrelated facts."""
SEED = 0


def write_dataset(folder: Path, known: Sequence[Known], test: int) -> dict[Split, int]:
    """Write so many test edits, and train edits of all other facts; how many there are of each."""
    parts = split(known, test)
    counts: dict[Split, int] = {}
    for name, part in parts.items():
        facts = make_edits(part)
        write_facts(folder, name, facts)
        counts[name] = len(facts)
    return counts


def split(known: Sequence[Known], test: int) -> dict[Split, list[Known]]:
    """Of each relation the same share goes into test."""
    if not 0 < test < len(known):
        raise UserError(f"{test} test edits cannot be taken of {len(known)} known facts; ask for fewer.")
    shuffled = sorted(known, key=lambda one: random.Random(f"{SEED} {one.relation} {one.subject}").random())
    place: dict[str, int] = {}
    ranks = []
    for one in shuffled:
        place[one.relation] = place.get(one.relation, 0) + 1
        ranks.append(place[one.relation])
    shares = [rank / place[one.relation] for rank, one in zip(ranks, shuffled, strict=True)]
    order = sorted(range(len(shuffled)), key=lambda number: shares[number])
    return {
        "test": [shuffled[number] for number in order[:test]],
        "train": [shuffled[number] for number in order[test:]],
    }


def make_edits(facts: Sequence[Known]) -> list[Fact]:
    """The edits of those facts whose relation has another answer and a neighbor in the same split."""
    made = (_edit(one, facts) for one in facts)
    return [fact for fact in made if fact is not None]


def _edit(one: Known, facts: Sequence[Known]) -> Fact | None:
    rng = random.Random(f"{SEED} edit {one.relation} {one.subject}")
    alike = [other for other in facts if other.relation == one.relation and other.subject != one.subject]
    answers = sorted({other.answer for other in alike} - {one.answer})
    if not answers:
        return None
    target = rng.choice(answers)
    # A neighbor whose answer is the target would hide what the edit does to it.
    neighbors = [other for other in alike if other.answer != target]
    elsewhere = (other for other in facts if other.relation != one.relation)
    others = [other for other in elsewhere if target not in (other.answer, other.subject)]
    if not neighbors or not others:
        return None
    return Fact(
        id=f"{one.relation}/{one.subject}",
        relation=one.relation,
        subject=one.subject,
        prompt=one.prompts[0],
        rephrases=one.prompts[1:],
        answer=one.answer,
        target=target,
        neighbors=_drawn(neighbors, rng),
        unrelated=_drawn(others, rng),
    )


def _drawn(facts: Sequence[Known], rng: random.Random) -> tuple[Stays, ...]:
    chosen = rng.sample(facts, min(KEPT, len(facts)))
    return tuple(Stays(prompt=one.prompts[0], answer=one.answer) for one in chosen)
