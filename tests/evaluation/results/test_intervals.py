"""How often intervals hold what they are for, in samples that are drawn for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.results.intervals import Floats, bootstrap, effective_number, wilson

SAMPLES = 1000
# Images, most edits of one (the least is 1), and the mean: small benchmarks, and near the ends.
CASES = [
    *((75, 4, 0.60), (200, 6, 0.60), (100, 4, 0.95), (35, 3, 0.60), (35, 3, 0.90)),
    *((75, 2, 0.98), (35, 1, 0.97), (20, 1, 0.10), (10, 1, 0.60), (10, 3, 0.60)),
]


def drawn(images: int, most: int, mean: float, alike: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Sums and numbers of right edits (samples, images); `alike` is how alike edits of one image are."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most + 1, (SAMPLES, images))
    spread = (1 - alike) / alike
    shares = rng.beta(mean * spread, (1 - mean) * spread, counts.shape)
    return rng.binomial(counts, shares).astype(np.float64), counts.astype(np.float64)


def coverage(sums: Floats, counts: Floats, mean: float) -> float:
    """The percentage of samples whose interval holds the mean that they were drawn with."""
    found = [wilson(*one) for one in zip(sums, counts, strict=True)]
    return 100 * float(np.mean([low <= mean <= high for low, high in found]))


@pytest.mark.parametrize("alike", [0.01, 0.3, 0.6])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_of_shares_hold_the_mean_in_95_of_100(case: tuple[int, int, float], alike: float) -> None:
    assert 92 <= coverage(*drawn(*case, alike), case[2]) <= 99


@pytest.mark.parametrize("images", [10, 35, 75])
@pytest.mark.parametrize("mean", [0.6, 0.9, 0.98])
def test_intervals_of_fractions_are_not_too_narrow(mean: float, images: int) -> None:
    rng = np.random.default_rng(1)
    fractions = rng.beta(4 * mean, 4 * (1 - mean), (SAMPLES, images))
    assert coverage(fractions, np.ones_like(fractions), mean) >= 94


@pytest.mark.parametrize("images", [1, 2, 10, 35, 1000])
def test_no_number_of_images_is_enough_to_be_sure(images: int) -> None:
    counts = np.full(images, 2.0)
    low, high = wilson(counts, counts)
    assert high == 1.0
    # The rule of three, and a little more.
    assert 3 / images < 1 / low - 1 < 4 / images
    assert wilson(np.zeros(images), counts) == pytest.approx((0.0, 1 - low))


def test_an_interval_of_shares_changes_little_where_values_do() -> None:
    counts = np.ones(35)
    ends = [wilson(np.array([*[1.0] * 34, 1 - wrong]), counts)[0] for wrong in np.linspace(0, 1, 101)]
    assert float(np.abs(np.diff(ends)).max()) < 0.01
    assert ends[0] == pytest.approx(0.901, abs=0.001)


def test_independent_answers_count_as_many_as_they_are() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(2000) < 0.3).astype(np.float64)
    assert effective_number(right, np.ones(2000)) == pytest.approx(2000, rel=1e-3)
    # Images of ten edits that all have the same score: no better than one edit each.
    assert effective_number(10 * right, np.full(2000, 10.0)) == pytest.approx(2000, rel=1e-3)


def test_intervals_weigh_images_by_their_edits() -> None:
    """Right on images of five edits and wrong on those of one: no mean of images' means is near that."""
    counts = np.array([1.0, 5.0] * 40)
    rng = np.random.default_rng(3)
    sums = np.where(counts == 5, rng.binomial(5, 0.9, 80), rng.binomial(1, 0.2, 80)).astype(np.float64)
    by_hand = []
    for _ in range(4000):
        images = rng.integers(0, 80, 80)
        by_hand.append(sum(sums[images]) / sum(counts[images]))
    low, high = np.quantile(by_hand, [0.025, 0.975])
    assert bootstrap(sums, counts, 0) == pytest.approx((low, high), abs=0.006)
    assert wilson(sums, counts) == pytest.approx((low, high), abs=0.012)
    means = sums / counts
    assert bootstrap(means, np.ones(80), 0)[1] < low
