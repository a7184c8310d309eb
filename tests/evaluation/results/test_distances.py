"""Bins by hand: nine items of three edits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.results.distances import Bin, bins, in_bin
from evaluation.results.records import CaseResult
from tests.evaluation.results.test_summary import probe, result


def edit(number: int, *items: tuple[float | None, float | None, float]) -> CaseResult:
    """Items of image locality with the cosines of question and image, and a score."""
    probes = [
        replace(probe("image_locality", score), text_cosine=text, image_cosine=image)
        for text, image, score in items
    ]
    fact = replace(probe("text_locality", 0.0, "far"), text_cosine=0.5)
    return result(number, *probes, fact)


EDITS = [
    edit(1, (1.0, 0.1, 0.0), (0.9, 1.0, 0.0), (0.8, 0.7, 1.0), (0.2, None, 1.0)),
    edit(2, (1.0, 0.2, 1.0), (0.7, 1.0, 0.5), (0.6, 0.3, 1.0)),
    edit(3, (0.5, 1.0, 0.0), (0.4, 1.0, 0.0), (0.3, -0.2, 1.0)),
]


def test_questions_in_common_stand_apart_and_the_others_are_in_four_parts() -> None:
    # 0.2, 0.3 | 0.4, 0.5 | 0.6, 0.7 | 0.8, 0.9, and two that are the edit's own.
    found = bins(EDITS, "question")
    assert found == [
        Bin(1.0, 1.0, 2),
        Bin(0.8, 0.9, 2),
        Bin(0.6, 0.7, 2),
        Bin(0.4, 0.5, 2),
        Bin(0.2, 0.3, 2),
    ]
    assert [one.title for one in found] == [
        "same",
        "0.80 to 0.90",
        "0.60 to 0.70",
        "0.40 to 0.50",
        "0.20 to 0.30",
    ]


def test_an_edit_counts_with_the_mean_of_its_items_in_a_bin() -> None:
    means = []
    for one in bins(EDITS, "question"):
        found = in_bin(EDITS, "legacy", "top10", "question", one)
        assert found is not None
        means.append((found.mean, found.edits))
    # Of edit 1: 0 | (0 + 1) / 2 | - | - | 1; of edit 2: 1 | - | (0.5 + 1) / 2; of edit 3: (0 + 0) / 2 | 1.
    assert means == [(0.5, 2), (0.5, 1), (0.75, 1), (0.0, 1), (1.0, 2)]


def test_images_have_bins_of_their_own() -> None:
    # -0.2 | 0.1 | 0.2 | 0.3, 0.7 are five in four parts.
    assert bins(EDITS, "image") == [
        Bin(1.0, 1.0, 4),
        Bin(0.3, 0.7, 2),
        Bin(0.2, 0.2, 1),
        Bin(0.1, 0.1, 1),
        Bin(-0.2, -0.2, 1),
    ]


def test_equal_cosines_are_never_parted() -> None:
    alike = [edit(1, *[(0.5, None, 1.0)] * 6, (0.1, None, 0.0))]
    assert bins(alike, "question") == [Bin(0.5, 0.5, 6), Bin(0.1, 0.1, 1)]


def test_without_cosines_there_are_no_bins() -> None:
    assert bins([edit(1, (None, None, 1.0))], "question") == []
    assert in_bin(EDITS, "wild", "unchanged", "question", Bin(0.0, 1.0, 9)) is None


def test_scores_are_those_of_a_share() -> None:
    found = in_bin(EDITS, "legacy", "top10", "image", Bin(1.0, 1.0, 4))
    assert found is not None
    assert found.mean == pytest.approx(0.5 / 3)
    assert 0 <= found.low < found.mean < found.high <= 1
