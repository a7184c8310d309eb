"""The section on several edits at once: who is in it, where lines go, and that names do not overlap."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from evaluation.drawing.labels import spread
from evaluation.report.at_once import at_once
from evaluation.report.board import make_board
from evaluation.report.courses import BOTTOM, LINE, TOP
from evaluation.report.page import render
from evaluation.report.runs import Run, by_family, split
from evaluation.report.tables import main_tables, markdown
from evaluation.results.about import About
from mmedit_build.rows import Task
from tests.pages import Reader


def runs_of(make_runs: Any, *numbers: int, settings: Any = None, **plan: Any) -> list[Run]:
    """Runs of all methods for each number of edits at once, in the order of reports."""
    found: list[Run] = []
    for number in numbers:
        for run in make_runs(settings={"at_once": number, **(settings or {})}, **plan)["vqa"]:
            if run.header.settings.method == "unedited" and number > numbers[0]:
                continue
            results = [replace(one, at_once=min(number, 3)) for one in run.results]
            found.append(Run(run.header.settings.name, run.header, results))
    return sorted(found, key=lambda run: run.name != "unedited@1")


def noted(run: Run, **facts: Any) -> Run:
    about = About(**{"family": "memory", "batch": True, **facts})
    return replace(run, header=replace(run.header, about=about))


def test_the_main_tables_are_of_single_edits(make_runs: Any) -> None:
    first, several = split(runs_of(make_runs, 1, 10, 75))
    assert [run.name for run in first] == ["unedited", "good", "poor"]
    assert {run.name for run in several} == {
        f"{name}{number}" for name in ("good", "poor") for number in ("", "@10", "@75")
    }


def test_runs_of_one_number_are_no_section_of_their_own(make_runs: Any) -> None:
    for number in (1, 10):
        runs = runs_of(make_runs, number)
        assert split(runs) == (runs, [])
    board = make_board("vqa", runs_of(make_runs, 1))
    assert at_once(board, []) == ""


def test_methods_of_single_edits_are_in_the_table_as_such(make_runs: Any) -> None:
    runs = runs_of(make_runs, 1, 10, skills={"good": 1.0})
    [single] = make_runs(skills={"poor": 0.25})["vqa"]
    runs += [noted(single, batch=False)]
    first, several = split(runs)
    assert [run.name for run in first] == ["good", "poor"]
    assert [run.name for run in several] == ["good", "good@10", "poor (single)"]
    section = at_once(make_board("vqa", first), several)
    assert "poor makes one edit at a time." in section
    # It has no line, as there is nothing to follow.
    assert section.count(">poor</text>") == 0
    assert section.count(">good</text>") == 12


def test_each_method_has_a_line_in_its_own_color(make_runs: Any) -> None:
    first, several = split(runs_of(make_runs, 1, 10, 75))
    board = make_board("vqa", first)
    section = at_once(board, several)
    paint = board.looks["poor"].paint
    # Two segments and a line to the name, in six panels of two protocols.
    assert len(re.findall(rf'class="course[^"]*" [^>]*stroke="{re.escape(paint)}"', section)) == 3 * 6 * 2
    assert "poor@75: Reliability, wild: 25.0 (95% interval" in section
    assert "One patch makes 1, 10 or 75 edits" in section
    assert "a group of 3." in section


def test_lines_of_several_runs_of_a_method_have_names_of_their_own(make_runs: Any) -> None:
    runs = [
        replace(run, name=f"{run.name}, lr {rate}")
        for rate in (0.1, 0.2)
        for run in runs_of(make_runs, 1, 10, skills={"good": 1.0}, settings={"config": {"lr": rate}})
    ]
    section = at_once(make_board("vqa", []), runs)
    for name in ("good, lr 0.1", "good, lr 0.2"):
        assert section.count(f">{name}</text>") == 12


def test_seeds_have_one_line(make_runs: Any) -> None:
    runs = [
        replace(run, name=f"{run.name}, seed {seed}")
        for seed, skill in enumerate((0.5, 1.0))
        for run in runs_of(make_runs, 1, 10, skills={"good": skill}, settings={"seed": seed})
    ]
    section = at_once(make_board("vqa", []), runs)
    assert section.count(">good</text>") == 12
    assert "good@10: Reliability, wild: 75.0 (95% interval" in section
    assert section.index("Each seed by itself") < section.index("<b>good@10, seed 1</b>")


def test_without_single_edits_methods_keep_their_colors_too(make_runs: Any) -> None:
    first, several = split(runs_of(make_runs, 10, 75))
    board = make_board("vqa", first)
    section = at_once(board, several[::-1])
    for name in ("good", "poor"):
        marks = re.findall(rf'class="course thin" [^>]*stroke="([^"]*)"></line><text [^>]*>{name}<', section)
        assert set(marks) == {board.looks[f"{name}@10"].paint}


def test_one_number_is_told_alone_and_single_methods_once(make_runs: Any) -> None:
    several = runs_of(make_runs, 10, skills={"good": 1.0})
    [single] = make_runs(skills={"poor": 0.25})["vqa"]
    alone = replace(noted(single, batch=False), name="poor (single)")
    section = at_once(make_board("vqa", []), several)
    assert "One patch makes 10 edits" in section
    section = at_once(make_board("vqa", []), [*several, alone, replace(alone, name="poor, own (single)")])
    assert section.count("poor makes one edit at a time.") == 1


def test_numbers_are_told_on_a_logarithmic_scale(make_runs: Any) -> None:
    first, several = split(runs_of(make_runs, 1, 10, 100))
    section = at_once(make_board("vqa", first), several)
    places = [float(x) for x, _ in re.findall(r'<text x="([\d.]+)" y="240"[^>]*>(1|10|100)<', section)[:3]]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    for places in ([100.0], [40.0] * 5, [32.0] * 14, [222.0] * 3, [50.0, 55.0, 60.0, 150.0, 151.0]):
        found = spread(places, TOP, BOTTOM, LINE)
        assert all(low - high >= LINE - 1e-9 for high, low in pairwise(found))
        assert found[0] >= TOP
        assert found[-1] <= BOTTOM
    assert spread([40.0, 90.0], TOP, BOTTOM, LINE) == [40.0, 90.0]


def test_page_and_tables_have_all_runs(make_runs: Any) -> None:
    runs: dict[Task, list[Run]] = {"vqa": runs_of(make_runs, 1, 10)}
    titles = [table.title for table in main_tables(runs)]
    assert titles == [
        f"Visual questions{kind}, {protocol} protocol"
        for kind in ("", ", several edits at once")
        for protocol in ("legacy", "wild")
    ]
    assert "| good@10 |" in markdown(runs)
    page = render(runs)
    assert "5 runs with their settings" in page.decode()
    assert sum("Several edits at once" in text for text in Reader(page).texts) == 1


def test_methods_stand_by_their_families(make_runs: Any) -> None:
    unedited, good, poor = make_runs()["vqa"]
    runs = [unedited, noted(poor, family="fine-tuning"), noted(good)]
    assert [(family, [run.name for run in of]) for family, of in by_family(runs)] == [
        *(("", ["unedited"]), ("fine-tuning", ["poor"]), ("memory", ["good"])),
    ]
    page = render({"vqa": runs}).decode()
    assert page.index("Fine-tuning</th>") < page.index("Memory</th>")
