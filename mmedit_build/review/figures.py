"""What people found, in numbers: how many errors there are, and how far people agree about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import sqrt
from statistics import NormalDist

from mmedit_build.recipe import Review
from mmedit_build.review.agreement import LEVEL, Estimate, alpha, kappa
from mmedit_build.review.asked import QUESTIONS, Asked, asked_of
from mmedit_build.review.order import lot_of
from mmedit_build.review.settling import Said, judged
from mmedit_build.rows import SPLITS, EditRow, ReviewQuestion, Split

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Errors:
    """How often a sample of rows was refused, by one question and of one split."""

    question: ReviewQuestion
    split: Split
    rows: int
    """Drawn by lot."""
    judged: int
    """Of these rows, or of their locality items, those to which somebody says yes or no."""
    refused: int
    rate: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people agree about one question, wherever two of them say yes or no."""

    question: ReviewQuestion
    judged: int
    """By two or more."""
    alike: float
    """The share of these about which all say the same."""
    alpha: Estimate | None
    kappas: Sequence[Estimate | None]
    """Of every two people who judged the same; without their names."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is told of a review."""

    people: int
    rows: int
    """About which anything was said."""
    rule: Review
    errors: Sequence[Errors]
    agreement: Sequence[Agreement]


def figures(edits: Iterable[EditRow], said: Said, rule: Review) -> Figures:
    """The numbers of the finished edits of a build, which are gone through once and not held."""
    seen = _Seen({thing for answers in said.values() for thing in answers})
    for edit in edits:
        seen.see(edit)
    by_row = sorted(seen.rows)
    said = _about(by_row, said)
    # Not by its locality items, which other rows have, too.
    rows = sum(any(one.question != "locality" for one in row.asked) for row in by_row)
    errors = [
        found
        for question in QUESTIONS
        for split in SPLITS
        if (found := _errors(seen.sample(question, split, by_row), question, split, said, rule)) is not None
    ]
    agreement = [one for question in QUESTIONS if (one := _agreement(question, by_row, said)) is not None]
    return Figures(len(said), rows, rule, errors, agreement)


@dataclass(frozen=True, order=True, slots=True)
class _Row:
    """A row about which anything was said."""

    lot: str
    """By which it is drawn."""
    id: str = field(compare=False)
    split: Split | None = field(compare=False)
    asked: Sequence[Asked] = field(compare=False)
    """That to which anybody says something, without the items themselves."""


class _Seen:
    """What is kept of edits while they are gone through: those about which anything was said, and where the
    samples end."""

    def __init__(self, things: Collection[str]) -> None:
        self.rows: list[_Row] = []
        self._things = things
        self._open: dict[tuple[ReviewQuestion, Split | None], str] = {}
        """By question and split, the first lot of those about which something is not judged yet."""

    def see(self, edit: EditRow) -> None:
        lot = lot_of(edit)
        said = []
        for one in asked_of(edit):
            if one.of in self._things:
                said.append(replace(one, item=None))
            else:
                place = (one.question, edit.split)
                self._open[place] = min(lot, self._open.get(place, lot))
        if said:
            self.rows.append(_Row(lot, edit.id, edit.split, said))

    def sample(self, question: ReviewQuestion, split: Split, by_row: Sequence[_Row]) -> list[list[Asked]]:
        """Of the rows as drawn up to the first of which something is not judged yet, what was asked: these
        alone are a sample. Whoever looks at doubtful rows finds more errors than there are elsewhere."""
        end = self._open.get((question, split))
        here = (row for row in by_row if row.split == split and (end is None or row.lot < end))
        each = ([one for one in row.asked if one.question == question] for row in here)
        return [ones for ones in each if ones]


def _about(by_row: Sequence[_Row], said: Said) -> Said:
    """Answers about what there is now, of those who gave any."""
    there = {one.of for row in by_row for one in row.asked}
    found = {who: {of: answer for of, answer in given.items() if of in there} for who, given in said.items()}
    return {who: given for who, given in found.items() if given}


def _errors(
    sample: Sequence[Sequence[Asked]], question: ReviewQuestion, split: Split, said: Said, rule: Review
) -> Errors | None:
    # An item that several rows have was judged once.
    things = {one.of: one for ones in sample for one in ones}
    votes = [one for thing in things.values() if (one := judged(thing, said, rule)) and one.yes + one.no]
    if not votes:
        return None
    refused = sum(one.refused for one in votes)
    return Errors(question, split, len(sample), len(votes), refused, wilson(refused, len(votes)))


def _agreement(question: ReviewQuestion, by_row: Sequence[_Row], said: Said) -> Agreement | None:
    places = {one.of: row.id for row in by_row for one in row.asked if one.question == question}
    things = [thing for thing in places if sum(_decided(said, who, thing) is not None for who in said) > 1]
    if not things:
        return None
    labels = [[_decided(said, who, thing) for who in said] for thing in things]
    rows = [places[thing] for thing in things]
    alike = sum(len(set(given) - {None}) == 1 for given in labels) / len(labels)
    kappas = list(_kappas(labels, rows, len(said)))
    return Agreement(question, len(things), alike, alpha(labels, rows), kappas)


def _kappas(
    labels: Sequence[Sequence[str | None]], rows: Sequence[str], people: int
) -> Iterator[Estimate | None]:
    for one, other in combinations(range(people), 2):
        both = [
            (row, (said[one], said[other]))
            for row, said in zip(rows, labels, strict=True)
            if said[one] is not None and said[other] is not None
        ]
        if both:
            yield kappa([pair for _, pair in both], [row for row, _ in both])


def wilson(refused: int, judged: int) -> Estimate:
    """A share with Wilson's interval, which is no point where nothing was refused."""
    share = refused / judged
    middle, scale = share + _Z**2 / (2 * judged), 1 + _Z**2 / judged
    half = _Z * sqrt(share * (1 - share) / judged + _Z**2 / (4 * judged**2))
    # At either end rounding could leave a little of what cancels out.
    low = 0.0 if refused == 0 else (middle - half) / scale
    high = 1.0 if refused == judged else (middle + half) / scale
    return Estimate(share, low, high)


def _decided(said: Said, who: str, thing: str) -> str | None:
    """Who cannot tell says nothing."""
    answer = said[who].get(thing)
    return None if answer == "unsure" else answer
