from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.protocols import metrics
from evaluation.protocols.metrics import Floats, Ids
from mmedit_build.scoring.caption import Consensus


def ids(*numbers: int | Sequence[int]) -> Ids:
    return np.array(numbers, np.int32)


def logs(*rows: Sequence[float]) -> Floats:
    with np.errstate(divide="ignore"):
        found: Floats = np.log(np.array(rows)).astype(np.float32)
        return found


@pytest.mark.parametrize(
    ("predicted", "target", "accuracy", "exact"),
    [((5, 6, 7), (5, 6, 7), 1.0, 1.0), ((5, 9, 7), (5, 6, 7), 2 / 3, 0.0), ((1,), (2,), 0.0, 0.0)],
)
def test_target_tokens_are_counted(
    predicted: tuple[int, ...], target: tuple[int, ...], accuracy: float, exact: float
) -> None:
    assert metrics.token_accuracy(ids(*predicted), ids(*target)) == pytest.approx(accuracy)
    assert metrics.exact_match(ids(*predicted), ids(*target)) == exact


def test_a_target_without_tokens_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        metrics.exact_match(ids(), ids())


def test_top1_looks_at_every_position_and_only_at_the_likeliest() -> None:
    before = ids((1, 2), (3, 4), (5, 6), (7, 8))
    after = ids((1, 9), (4, 3), (5, 6), (8, 7))
    assert metrics.top1_agreement(before, after) == 0.5


def test_ranks_have_to_agree_one_by_one() -> None:
    # Position 1: all three in place. Position 2: one of three; the two that swapped places do not count.
    before, after = ids((1, 2, 3), (4, 5, 6)), ids((1, 2, 3), (5, 4, 6))
    assert metrics.ranked_agreement(before, after) == pytest.approx(4 / 6)


def test_a_longer_prompt_is_compared_at_the_last_common_positions() -> None:
    before = ids((1,), (2,), (3,))
    after = ids((8,), (9,), (1,), (7,), (3,))
    assert metrics.ranked_agreement(before, after) == pytest.approx(2 / 3)
    assert metrics.ranked_agreement(after, before) == pytest.approx(2 / 3)


def test_nothing_in_common_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        metrics.ranked_agreement(ids((1, 2)), ids((1, 2, 3)))


def test_kl_is_the_mean_over_positions() -> None:
    before = logs((0.5, 0.25, 0.25), (0.2, 0.3, 0.5))
    after = logs((0.25, 0.5, 0.25), (0.2, 0.3, 0.5))
    first = 0.5 * math.log(0.5 / 0.25) + 0.25 * math.log(0.25 / 0.5)
    assert metrics.kl_divergence(before, after) == pytest.approx(first / 2, abs=1e-6)
    assert metrics.kl_divergence(before, before) == 0.0


def test_what_had_no_probability_before_adds_nothing_to_kl() -> None:
    assert metrics.kl_divergence(logs((1.0, 0.0)), logs((0.5, 0.5))) == pytest.approx(math.log(2))
    assert metrics.kl_divergence(logs((1.0, 0.0)), logs((1.0, 0.0))) == 0.0


def test_kl_is_infinite_where_after_says_never() -> None:
    assert metrics.kl_divergence(logs((0.5, 0.5)), logs((1.0, 0.0))) == math.inf


@pytest.mark.parametrize(
    ("said", "targets", "right"),
    [
        ("Two.", ("2",), 1.0),
        ("the red cat", ("red cat", "dog"), 1.0),
        ("a", ("A",), 1.0),
        ("a", ("the",), 0.0),
        ("", ("red",), 0.0),
        ("red cats", ("red cat",), 0.0),
    ],
)
def test_answers_match_but_for_case_articles_and_punctuation(
    said: str, targets: tuple[str, ...], right: float
) -> None:
    assert metrics.match(said, targets) == right
    assert metrics.unchanged(said, targets[0]) == right


def test_the_target_is_right_whatever_annotators_say() -> None:
    annotators = ("red",) * 6 + ("dark red",) * 2 + ("crimson",) * 2
    assert metrics.soft_accuracy("Red", "red", annotators) == 1.0
    # Two of ten annotators: without one of these two it is 1/3, without any of the eight others 2/3.
    assert metrics.soft_accuracy("crimson", "red", annotators) == pytest.approx((2 * 1 / 3 + 8 * 2 / 3) / 10)
    assert metrics.soft_accuracy("blue", "red", annotators) == 0.0


def test_annotators_who_do_not_know_the_target_are_not_asked() -> None:
    assert metrics.soft_accuracy("red", "blue", ("red",) * 10) == 0.0
    assert metrics.soft_accuracy("blue", "blue", ("red",) * 10) == 1.0


def test_captions_are_held_against_the_target() -> None:
    corpus = Consensus.of([["a cat on the grass"], ["a dog in the snow"], ["two red boats at sea"]])
    target = "a cat on the grass"
    assert metrics.caption_consensus("A cat on the grass.", target, corpus) == 1.0
    assert metrics.caption_consensus("two red boats at sea", target, corpus) < 0.1
    near = metrics.caption_consensus("a cat on the snow", target, corpus)
    assert 0.2 < near < 0.9
