"""Results that stay in their file give what results in memory give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.results.distances import AXES, bins
from evaluation.results.intervals import Floats
from evaluation.results.records import LINES, ResultFolder
from evaluation.results.stored import StoredResults, Summed, stored_results
from evaluation.results.summary import Measure, Results, estimated, images_of, values
from mmedit_build.errors import UserError
from tests.evaluation.results.test_records import HEAD, PROBE, result
from tests.evaluation.results.test_summary import RELIABILITY, probe

RELIABLE, FAILED = (replace(probe("reliability", score), prompt="Q") for score in (1, 0.25))
NEAR = replace(PROBE, text_cosine=0.75, image_cosine=0.5)
CASES = [
    result("a", probes=(RELIABLE, NEAR, replace(NEAR, item="okvqa/2", text_cosine=1.0))),
    result("b", probes=(), skipped="broken", question_type="color"),
    result("c", probes=(FAILED,), question_type="color", image_id="8"),
    result("d", probes=(RELIABLE, PROBE)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written = ResultFolder(tmp_path)
    written.begin(HEAD)
    for case in CASES:
        written.add(case)
    return tmp_path


def stored(folder: Path) -> StoredResults:
    return stored_results(folder)[1]


def same(found: dict[Measure, Floats], expected: dict[Measure, Floats]) -> bool:
    return list(found) == list(expected) and all(
        np.array_equal(found[of], expected[of], equal_nan=True) for of in expected
    )


def test_they_are_the_results_that_were_written(folder: Path) -> None:
    header, found = stored_results(folder)
    assert header == HEAD
    assert list(found) == list(found) == CASES
    assert (found[2], found[1:3], len(found)) == (CASES[2], CASES[1:3], 4)


def test_their_numbers_are_those_of_results_in_memory(folder: Path) -> None:
    found, known = stored(folder), Results(CASES)
    assert same(found.scores, known.scores)
    assert values(found, RELIABILITY) == values(CASES, RELIABILITY) == {"a": 1.0, "c": 0.25, "d": 1.0}
    assert estimated(found, RELIABILITY) == estimated(CASES, RELIABILITY)
    assert (list(found.probes), list(found.kinds)) == (list(known.probes), list(known.kinds))
    assert images_of(found) == images_of(CASES)
    for axis in AXES:
        assert bins(found, axis) == bins(CASES, axis) != []


def test_types_of_questions_have_their_own(folder: Path) -> None:
    found, known = stored(folder).by_type, Results(CASES).by_type
    assert list(found) == list(known) == ["color", "count"]
    for name, of in found.items():
        assert list(of) == list(known[name])
        assert same(of.scores, known[name].scores)
    assert list(found["color"].scores) == [RELIABILITY]


def test_no_text_is_held(folder: Path) -> None:
    for outline in stored(folder).outlines:
        assert (outline.question, outline.target) == ("", "")
        assert all((one.prompt, one.target, one.after) == ("", "", None) for one in outline.probes)
    assert [len(outline.probes) for outline in stored(folder).outlines] == [2, 0, 0, 0]


def test_of_an_edit_that_stands_there_twice_the_last_result_counts(folder: Path) -> None:
    again = result("a", probes=(PROBE,), image_id="9")
    ResultFolder(folder).add(again)
    found, known = stored(folder), Results([again, *CASES[1:]])
    assert list(found) == list(known)
    assert same(found.scores, known.scores)
    assert images_of(found)["a"] == "9"


def test_half_a_line_is_passed_over_and_a_broken_one_told(folder: Path) -> None:
    path = folder / LINES
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    assert list(stored(folder)) == CASES
    path.write_bytes(whole[:50] + b"\n" + whole)
    with pytest.raises(UserError, match=r"Line 1 of .*results\.jsonl is no result"):
        stored(folder)


def test_what_goes_by_leaves_its_numbers() -> None:
    assert same(Summed.of(iter(CASES)).scores, Results(CASES).scores)
