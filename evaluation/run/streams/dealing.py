"""Which edits make a stream, in which orders, and which are asked again; all decided by the seed."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.data.cases import Case
from evaluation.data.pictures import key_of_image
from mmedit_build.errors import UserError

HELD = 100
"""Edits at most that are kept out of all streams, since their locality is what streams are measured by."""
SHARE = 5
"""Which part of all edits these are at most, as a divisor."""
SAMPLE = 100
"""Edits at most that are asked again at a checkpoint."""
AGES = ("oldest", "middle", "newest")
"""The thirds of the edits that have been made."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """The edits of a dataset, dealt by image."""

    streamed: Sequence[Case]
    held: Sequence[Case]
    """Those that no stream makes."""


def deal(cases: Sequence[Case], seed: int) -> Dealt:
    """Keep some images and all their edits out of the streams."""
    wanted = max(1, min(HELD, len(cases) // SHARE))
    edits = Counter(case.image_id for case in cases)
    held: set[str] = set()
    for image in sorted(edits, key=lambda image: _draw(seed, "held", image)):
        if sum(edits[one] for one in held) >= wanted:
            break
        held.add(image)
    dealt = Dealt(
        [case for case in cases if case.image_id not in held],
        [case for case in cases if case.image_id in held],
    )
    if not dealt.held or not dealt.streamed:
        raise UserError(
            f"{len(cases)} edits are too few for a stream, which keeps some out to measure locality by; "
            "give a larger dataset or --limit."
        )
    return dealt


def ordered(cases: Sequence[Case], seed: int, order: int) -> list[Case]:
    """The edits in one of the orders."""
    return sorted(cases, key=lambda case: _draw(seed, order, case.id))


def checkpoints(wanted: Sequence[int], edits: int) -> list[int]:
    """After how many edits a stream is judged; the last ones are all that there are, if more are wanted."""
    return sorted({min(number, edits) for number in wanted})


def age(position: int, edits: int) -> int:
    """To which third an edit belongs, the oldest first, if it is at this position (from 0) of so many."""
    return position * len(AGES) // edits


def sampled(cases: Sequence[Case], edits: int, seed: int, order: int) -> list[int]:
    """The positions of the edits that are asked again after so many: as many of each third.

    Edits whose question has since been given another answer are left out.
    """
    last = {question_of(case): position for position, case in enumerate(cases[:edits])}
    known = sorted(last.values())
    if len(known) <= SAMPLE:
        return known
    rng = random.Random(f"{seed}/{order}/{edits}")
    thirds = [[one for one in known if age(one, edits) == third] for third in range(len(AGES))]
    sizes = [SAMPLE * (third + 1) // len(AGES) - SAMPLE * third // len(AGES) for third in range(len(AGES))]
    return sorted(
        one for of, size in zip(thirds, sizes, strict=True) for one in rng.sample(of, min(size, len(of)))
    )


def outdone(cases: Sequence[Case], edits: int) -> set[int]:
    """The positions of edits whose question one of the first so many has since given another answer."""
    last = {question_of(case): case.target for case in cases[:edits]}
    return {place for place, case in enumerate(cases[:edits]) if last[question_of(case)] != case.target}


def check_conflicts(cases: Sequence[Case]) -> None:
    """Refuse edits that ask the same of the same image and want something else."""
    first: dict[tuple[str | None, str], Case] = {}
    for case in cases:
        other = first.setdefault(question_of(case), case)
        if other.target != case.target:
            raise UserError(
                f"The edits {other.id} and {case.id} ask the same about the same image and want "
                f"{other.target!r} and {case.target!r}; make the dataset clear, or give --conflicts to have "
                "the later one count."
            )


def question_of(case: Case) -> tuple[str | None, str]:
    """What an edit asks, and of which image."""
    return key_of_image(case.image), case.question


def _draw(*parts: object) -> bytes:
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
