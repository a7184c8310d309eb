"""Cohen's kappa, by hand."""

from __future__ import annotations

import pytest

from evaluation.results.agreement import kappa


def pairs(both: int, first: int, second: int, neither: int) -> list[tuple[bool, bool]]:
    """So many that both say yes to, only the first, only the second, or neither."""
    return (
        [(True, True)] * both
        + [(True, False)] * first
        + [(False, True)] * second
        + [(False, False)] * neither
    )


def test_it_is_what_agreement_has_beyond_chance() -> None:
    # 35 of 50 agree. Yes is 25 of 50 on one side and 30 on the other: by chance .5 * .6 + .5 * .4 = .5 agree.
    assert kappa(pairs(20, 5, 10, 15)) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    # 7 of 10 agree. Yes is 8 and 7: by chance .8 * .7 + .2 * .3 = .62.
    assert kappa(pairs(6, 2, 1, 1)) == pytest.approx((0.7 - 0.62) / 0.38)


def test_it_is_one_where_all_agree_and_below_zero_where_none_do() -> None:
    assert kappa(pairs(3, 0, 0, 2)) == pytest.approx(1)
    assert kappa(pairs(0, 1, 1, 0)) == pytest.approx(-1)
    # One side says yes to everything: what agrees is what chance brings.
    assert kappa(pairs(3, 1, 0, 0)) == pytest.approx(0)


def test_there_is_none_where_nothing_could_differ() -> None:
    assert kappa([]) is None
    assert kappa(pairs(4, 0, 0, 0)) is None
    assert kappa(pairs(0, 0, 0, 4)) is None
