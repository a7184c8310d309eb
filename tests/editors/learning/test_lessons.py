"""Queries computed once for a whole training, on the tiny random BLIP-2."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from editors.base import Edit, TrainEdit
from editors.learning.lessons import Budget, Kept, Pool
from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.mllm.conftest import as_png, make_image


def squares(limit: int) -> tuple[Kept[int], list[list[int]]]:
    """Squares of numbers, which take ten bytes each, and what was computed when."""
    calls: list[list[int]] = []

    def compute(numbers: list[int]) -> list[int]:
        calls.append(list(numbers))
        return [number**2 for number in numbers]

    return Kept(Budget(limit), compute, lambda _: 10), calls  # type: ignore[arg-type]


def test_values_are_computed_once() -> None:
    kept, calls = squares(1000)
    assert kept.of([3, 1, 3]) == [9, 1, 9]
    assert kept.of([1, 2, 3]) == [1, 4, 9]
    assert kept.of([3]) == [9]
    assert calls == [[3, 1], [2]]


def test_what_does_not_fit_is_computed_again() -> None:
    kept, calls = squares(25)
    for _ in range(2):
        assert kept.of([1, 2, 3, 4]) == [1, 4, 9, 16]
    assert calls == [[1, 2, 3, 4], [3, 4]]
    assert squares(0)[0].of([5, 5]) == [25, 25]


def test_preparing_ends_with_the_budget() -> None:
    kept, calls = squares(40 * 10)
    kept.prepare([*range(100), *range(100)])
    assert calls == [list(range(32)), list(range(32, 64))]
    assert kept.of([39, 5]) == [39**2, 25]
    assert len(calls) == 2
    kept.of([40])
    assert calls[2:] == [[40]]


@pytest.fixture
def lesson(edits: list[Edit]) -> TrainEdit:
    fact = Query(None, "who wrote the book?", "the cat")
    return TrainEdit(edits[0], replace(edits[0].query, prompt="what?"), None, (fact,), (edits[1].query, fact))


def test_equal_queries_are_one(mllm: MLLM, lesson: TrainEdit, edits: list[Edit]) -> None:
    pool = Pool(mllm, 2**20)
    found = pool.lesson(lesson)
    # The missing rephrase is stood in for by the edit itself.
    assert (found.inner, found.text_rephrase, found.image_rephrase) == (0, 1, 0)
    assert (found.text_locality, found.image_locality) == ((2,), (3, 2))
    assert found.all == (0, 1, 0, 2, 3, 2)
    assert pool.add(Query(as_png(make_image(0)), edits[0].prompt, edits[0].target)) == 4
    assert pool.add(Query(make_image(0), edits[0].prompt, edits[0].target)) == 0
    assert pool.add(replace(edits[0].query, target="a cat")) == 5


@pytest.mark.parametrize(("share", "again"), [(0.0, 3), (0.99, 1), (1.0, 0)])
def test_they_are_known_up_to_a_layer_whether_kept_or_not(
    mllm: MLLM, lesson: TrainEdit, share: float, again: int
) -> None:
    queries = [lesson.edit.query, *filter(None, [lesson.text_rephrase]), *lesson.text_locality]
    pool = Pool(mllm, int(share * mllm.below(queries, 4).nbytes))
    queries.insert(2, queries[0])
    numbers = pool.lesson(lesson).all[:4]
    pool.prepare(numbers, 4)
    before = mllm.counts.layers
    below = pool.below(numbers, 4)
    assert mllm.counts.layers - before == 4 * again
    assert (below.layer, list(below)) == (4, queries)
    for one, other in zip(mllm.score(below), mllm.score(list(below)), strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)
