"""The overview says what runs noted, and nothing where they noted nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evaluation.report.overview import HEADER, in_words, one_of_each, overview, overview_table
from evaluation.report.runs import Run
from evaluation.report.tables import markdown, write_tables
from evaluation.results.about import About


def noted(run: Run, fit_seconds: float | None = None, **facts: Any) -> Run:
    about = About(**{"family": "memory", "batch": True, **facts})
    return replace(run, header=replace(run.header, about=about, fit_seconds=fit_seconds))


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ({"MLP": (4, 5, 6)}, "MLP of layers 4 to 6"),
        ({"MLP": (4, 6)}, "MLP of layers 4 and 6"),
        ({"neurons of the MLP": (0, 2, 5)}, "neurons of the MLP of layers 0, 2 and 5"),
        ({"beside the MLP": (5,)}, "beside the MLP of layer 5"),
        ({"": (1,)}, "layer 1"),
        ({"the prompt": ()}, "the prompt"),
        ({"Q-Former": (), "MLP": (1, 2)}, "Q-Former, MLP of layers 1 and 2"),
        ({}, "-"),
    ],
)
def test_areas_are_told_in_words(area: dict[str, tuple[int, ...]], words: str) -> None:
    assert in_words(area) == words


def test_a_row_tells_all_that_was_noted(make_runs: Any) -> None:
    unedited, good, poor = make_runs()["vqa"]
    runs = [
        unedited,
        noted(good, 12.34, preserves=False, area={"MLP": (2,)}, learned=5678),
        noted(poor, preserves=True, batch=False, area={"the prompt": ()}),
    ]
    table = overview_table("vqa", runs)
    assert table.header == HEADER
    assert table.rows == (
        *(("good", "memory", "changed", "yes, 12.3 s", "yes", "MLP of layer 2", "1,234 changed", "5,678"),),
        *(("poor", "memory", "preserved", "no", "no", "the prompt", "1,234 added", "-"),),
    )
    page = overview("vqa", runs)
    assert page.count('data-label="edited area"') == 2
    assert "Memory</th>" in page


def test_how_much_an_edit_changes_may_differ(make_runs: Any) -> None:
    _, good, poor = make_runs()["vqa"]
    sizes = [replace(one, changed=100 * number) for number, one in enumerate(good.results)]
    none = [replace(one, changed=0) for one in poor.results]
    rows = overview_table(
        "vqa", [noted(replace(good, results=sizes)), noted(replace(poor, results=none))]
    ).rows
    assert [row[HEADER.index("parameters per edit")] for row in rows] == ["0 to 700 added", "none"]


def test_each_method_is_told_once_by_its_run_with_the_fewest_edits_at_once(make_runs: Any) -> None:
    runs = [make_runs(settings={"at_once": number}, skills={"good": 1.0})["vqa"][0] for number in (75, 10)]
    assert one_of_each(runs) == runs[1:]
    assert overview_table("vqa", runs).rows[0][HEADER.index("parameters per edit")].endswith("for 10 edits")


def test_results_from_before_still_report(make_runs: Any, tmp_path: Any) -> None:
    runs = make_runs()
    assert overview_table("vqa", runs["vqa"]).rows[0] == ("good", *["-"] * 5, "1,234", "-")
    assert "Visual questions: methods" in markdown(runs)
    assert all(path.exists() for path in write_tables(runs, tmp_path))
    assert overview("vqa", [runs["vqa"][0]]) == ""
