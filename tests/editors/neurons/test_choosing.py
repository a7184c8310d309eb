from __future__ import annotations

import numpy as np
import pytest
import torch

from editors.neurons.choosing import FEW, MANY, Place, coarse, common, refined, share_leaving

SCORES = torch.tensor([[0.1, 0.2, 0.5], [1.0, -2.0, 0.3]])


def test_neurons_lie_above_the_threshold_strictly() -> None:
    assert coarse(SCORES, 0.2, "share") == {(0, 2), (1, 0), (1, 2)}
    assert coarse(SCORES, 0.5, "fixed") == {(1, 0)}
    limit = np.percentile(SCORES.numpy(), 60)
    assert coarse(SCORES, 60, "percentile") == {(i, j) for i, j in np.argwhere(SCORES.numpy() > limit)}
    for threshold in (1.0, 1.5):
        assert coarse(SCORES, threshold, "share") == set()
    assert coarse(torch.zeros(2, 3), 0.2, "share") == set()
    assert coarse(-SCORES.abs(), 0.2, "share") == set()


def test_refined_neurons_are_in_more_than_a_share_of_the_sets() -> None:
    sets = [{(0, 1), (1, 1)}, {(0, 1), (0, 0)}, {(0, 1)}, {(1, 1)}]
    assert refined(sets, 0.5) == [(0, 1)]
    assert refined(sets, 0.49) == [(0, 1), (1, 1)]
    assert refined(sets, 0.0) == [(0, 0), (0, 1), (1, 1)]
    assert refined(sets, 0.75) == []
    assert refined([], 0.5) == []


def test_enough_is_the_share_or_more_and_three_sets_at_least() -> None:
    sets: list[set[Place]] = [
        {(0, number) for number in range(size)} for size in (4, 3, 3, 3, 2, 2, 2, 1, 1, 1)
    ]
    # Neuron 0 is in ten of ten sets, 1 in seven, 2 in four, 3 in one.
    assert refined(sets, 0.7, "enough") == [(0, 0), (0, 1)]
    assert refined(sets, 0.7, "more") == [(0, 0)]
    assert refined(sets, 14 * 0.05, "enough") == [(0, 0), (0, 1)]
    assert refined(sets, 0.0, "enough") == [(0, 0), (0, 1), (0, 2)]
    assert refined(sets[:2], 0.5, "enough") == []
    assert share_leaving([sets], "enough") == pytest.approx(0.7)
    assert share_leaving([sets]) == pytest.approx(0.65)


def test_common_neurons_are_those_of_more_than_a_share_of_the_facts() -> None:
    found: list[list[Place]] = [[(1, 1), (0, 1)], [(0, 1)], [(0, 1), (0, 2)], [(1, 1)], []]
    assert common(found, 0.4) == [(0, 1)]
    assert common(found, 0.39) == [(0, 1), (1, 1)]
    assert common(found, 1.0) == common([], 0.1) == []


def sets(*sizes: int) -> list[set[Place]]:
    """Neurons found for each form: nested, so that some are found more often than others."""
    return [{(0, number) for number in range(size)} for size in sizes]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([sets(3, 3, 3, 3)], 0.7),
        # Four in all forms are few enough; forty are left by smaller shares.
        ([sets(40, 40, 40, 4)], 0.75),
        # None is in all forms, three are in half of them.
        ([sets(3, 3, 0, 0)], 0.45),
        ([sets(1, 1, 1, 1)], 0.0),
        ([sets(40, 40, 40, 40)], 0.95),
        # A share that would leave too few is not taken.
        ([sets(40, 40, 40, 1)], 0.7),
        ([], 0.7),
    ],
)
def test_the_share_leaves_a_few_neurons(found: list[list[set[Place]]], expected: float) -> None:
    assert (FEW, MANY) == (2, 5)
    assert share_leaving(found) == pytest.approx(expected)
