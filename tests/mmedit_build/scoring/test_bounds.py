from __future__ import annotations

import math

import pytest

from mmedit_build.scoring.bounds import NoNumberError, within


def test_bounds_belong_to_what_is_within() -> None:
    assert within("score", 0.5, least=0.5)
    assert within("score", 0.5, most=0.5)
    assert within("score", 0.5)
    assert not within("score", 0.4, least=0.5)
    assert not within("score", 0.6, least=0.5, most=0.55)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_on_neither_side(score: float) -> None:
    for bound in ({"least": 0.5}, {"most": 0.5}, {}):
        with pytest.raises(NoNumberError, match=r"^resemblance is not a number$"):
            within("resemblance", score, **bound)
