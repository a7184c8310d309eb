"""Agreement beside cases that were computed by hand or published."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mmedit_build.review.agreement import alpha, kappa

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): his two observers of ten things, and his
# four observers of twelve, who missed some.
MEG_AND_OWEN = [(0, 1), (1, 1), (0, 1), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0), (1, 0), (0, 0)]
FOUR = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)


def rows(things: Sequence[object]) -> list[int]:
    return list(range(len(things)))


def test_alpha_is_that_of_its_author() -> None:
    found = alpha(MEG_AND_OWEN, rows(MEG_AND_OWEN))
    assert found is not None
    # 8 of 20 values are paired otherwise; 14 zeros and 6 ones: 1 - 19 * 8 / (2 * 14 * 6).
    assert found.value == pytest.approx(1 - 19 * 8 / 168)
    assert round(found.value, 3) == 0.095
    assert found.low < found.value < found.high


def test_alpha_of_missing_values_is_that_of_its_author() -> None:
    things = list(zip(*FOUR, strict=True))
    found = alpha(things, rows(things))
    assert found is not None
    assert round(found.value, 3) == 0.743


def test_alpha_of_three_people_by_hand() -> None:
    # Of yes yes no: 2 * 2 * 1 / (3 - 1) = 2 disagreements; of no no: none. With 2 yes and 3 no that is
    # 1 - 4 * 2 / (2 * 2 * 3).
    found = alpha([("yes", "yes", "no"), ("no", None, "no"), (None, "yes", None)], [0, 1, 2])
    assert found is not None
    assert found.value == pytest.approx(1 - 8 / 12)


def test_kappa_by_hand() -> None:
    # Of fifty things both say yes to 20 and no to 15; lots would agree on 0.5 * 0.6 + 0.5 * 0.4 of them.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = kappa(pairs, rows(pairs))
    assert found is not None
    assert found.value == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert 0.1 < found.low < found.value < found.high < 0.7


def test_agreeing_on_everything_is_one_and_on_nothing_less_than_none() -> None:
    alike = [("yes", "yes"), ("no", "no")] * 10
    other = [("yes", "no"), ("no", "yes")] * 10
    for measure in (alpha, kappa):
        one, none = measure(alike, rows(alike)), measure(other, rows(other))
        assert one is not None
        assert none is not None
        assert (one.value, one.low, one.high) == (1, 1, 1)
        assert none.value < 0


@pytest.mark.parametrize("things", [[], [("yes", "yes")] * 9, [("yes", None), (None, "no")]])
def test_there_is_none_where_all_say_the_same_or_nobody_the_same_thing(things: list[tuple[str, str]]) -> None:
    assert alpha(things, rows(things)) is None


def test_there_is_no_kappa_of_nothing_or_of_one_answer() -> None:
    assert kappa([], []) is None
    assert kappa([("yes", "yes")] * 9, rows([0] * 9)) is None


def test_what_one_row_has_twice_makes_nobody_surer() -> None:
    twice = [pair for pair in MEG_AND_OWEN for _ in range(2)]
    of_rows = [row for row in rows(MEG_AND_OWEN) for _ in range(2)]
    once, again = kappa(MEG_AND_OWEN, rows(MEG_AND_OWEN)), kappa(twice, of_rows)
    assert once == again
    apart = kappa(twice, rows(twice))
    assert apart is not None
    assert once is not None
    assert apart.high - apart.low < once.high - once.low
