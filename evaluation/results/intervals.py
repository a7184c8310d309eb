"""95% intervals of means over edits, where edits of one image are not independent.

What is known of each image is the sum of its edits' values and their number. Images are a sample; how many
edits an image has is part of it.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def wilson(sums: Floats, counts: Floats) -> Interval:
    """The interval of a share, from values between 0 and 1.

    Wilson's interval (1927) for as many independent values of 0 and 1 as would vary as much as the mean does
    between samples of images; fractions and edits of one image make that number more or less than the number
    of edits. It is never a single point: where all values are right, the number is that of the images.
    """
    mean = float(sums.sum() / counts.sum())
    n = effective_number(sums, counts)
    middle, scale = mean + Z**2 / (2 * n), 1 + Z**2 / n
    half = Z * sqrt(mean * (1 - mean) / n + Z**2 / (4 * n**2))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def effective_number(sums: Floats, counts: Floats) -> float:
    """How many independent values of 0 and 1 would have a mean that varies as much.

    The less of both there is, right and wrong, the less do values tell of how they vary. So what they tell
    counts with 4 mean (1 - mean) for each image, and one image more says that each image is one such value.
    """
    images, mean = len(sums), float(sums.sum() / counts.sum())
    variance = float(np.square(sums - mean * counts).sum()) / counts.sum() ** 2 * images / max(1, images - 1)
    told = 4 * images * mean * (1 - mean)
    return float((told + 1) / (4 * images * variance + 1 / images))


def bootstrap(sums: Floats, counts: Floats, seed: int) -> Interval:
    """The interval of any mean: percentiles of those of as many images, drawn with replacement many times."""
    return bootstraps(sums[None], counts, seed)[0]


def bootstraps(sums: Floats, counts: Floats, seed: int) -> list[Interval]:
    """The intervals of several means over the same edits (means, images), whose images are drawn together."""
    times = draws(len(counts), seed).astype(np.float64)
    means = (times @ sums.T) / (times @ counts)[:, None]
    lows, highs = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


@lru_cache(maxsize=32)
def draws(number: int, seed: int) -> NDArray[np.uint8]:
    """How often each image is drawn, in each of the draws; the same for all measures.

    In a byte: that one of thousands of images is drawn 256 times does not happen.
    """
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=DRAWS)
    return drawn.astype(np.uint8)
