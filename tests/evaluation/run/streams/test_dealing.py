from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from evaluation.data.cases import Case
from evaluation.run.streams.dealing import (
    AGES,
    SAMPLE,
    age,
    check_conflicts,
    checkpoints,
    deal,
    ordered,
    sampled,
)
from mmedit_build.errors import UserError


def made_up(number: int, images: int | None = None) -> list[Case]:
    return [
        Case(
            id=str(one),
            task="vqa",
            split="test",
            image=f"picture {one % (images or number)}".encode(),
            image_id=str(one % (images or number)),
            question=f"What is {one}?",
            question_type="what",
            target=str(one),
            prediction="",
        )
        for one in range(number)
    ]


def ids(cases: Sequence[Case]) -> list[str]:
    return [case.id for case in cases]


def test_whole_images_are_kept_out() -> None:
    cases = made_up(60, images=20)
    dealt = deal(cases, seed=0)
    assert len(dealt.held) == 12
    assert {one.image_id for one in dealt.held}.isdisjoint(one.image_id for one in dealt.streamed)
    assert sorted(ids([*dealt.held, *dealt.streamed])) == sorted(ids(cases))
    assert ids(deal(cases, seed=1).held) != ids(dealt.held)
    assert len(deal(made_up(2000), seed=0).held) == 100


def test_too_few_edits_make_no_stream() -> None:
    with pytest.raises(UserError, match="too few for a stream"):
        deal(made_up(3, images=1), seed=0)


def test_orders_differ_and_hold_all_edits_and_forget_what_is_left_out() -> None:
    cases = made_up(30)
    orders = [ids(ordered(cases, 0, order)) for order in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == sorted(ids(cases)) for order in orders)
    # However the dataset lists them, and whichever of them are there.
    assert ids(ordered(cases[::-1], 0, 0)) == orders[0]
    assert ids(ordered(cases[10:], 0, 0)) == [one for one in orders[0] if int(one) >= 10]


@pytest.mark.parametrize(
    ("wanted", "edits", "found"),
    [((1, 10, 100), 342, [1, 10, 100]), ((1, 10, 1000), 342, [1, 10, 342]), ((10, 20), 5, [5])],
)
def test_a_tail_is_kept(wanted: tuple[int, ...], edits: int, found: list[int]) -> None:
    assert checkpoints(wanted, edits) == found


def test_the_sample_has_as_many_of_each_third() -> None:
    cases = made_up(1000)
    assert sampled(cases, 80, 0, 0) == list(range(80))
    found = sampled(cases, 1000, 0, 0)
    assert found == sampled(cases, 1000, 0, 0) == sorted(set(found))
    assert len(found) == SAMPLE
    thirds = [sum(age(one, 1000) == third for one in found) for third in range(len(AGES))]
    assert thirds == [33, 33, 34]
    assert found != sampled(cases, 1000, 0, 1)


def test_edits_that_want_something_else_of_the_same_are_refused_or_the_later_one_counts() -> None:
    cases = made_up(6)
    check_conflicts([*cases, replace(cases[2], id="again")])
    other = [*cases, replace(cases[2], id="other", target="else")]
    with pytest.raises(UserError, match=r"2 and other .*'2' and 'else'.*--conflicts"):
        check_conflicts(other)
    assert sampled(other, 7, 0, 0) == [0, 1, 3, 4, 5, 6]
    assert sampled(other, 6, 0, 0) == [0, 1, 2, 3, 4, 5]
