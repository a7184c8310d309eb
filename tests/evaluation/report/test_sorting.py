"""Tables of the page sort by click and by keyboard, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.page import write_page
from tests.evaluation.report.test_crowds import runs_of

SKILLS = {"unedited": 0.0, "ft": 0.5, "mend": 1.0, "ike": 0.75}


@pytest.fixture
def report(make_runs: Any, tmp_path: Path) -> Path:
    return write_page({"vqa": runs_of(make_runs, SKILLS)}, tmp_path)


def order(page: Any) -> list[str]:
    found: list[str] = page.locator("table.main tbody tr:visible th[scope=row] > b").all_inner_texts()
    return found


def test_a_click_sorts_another_turns_around_and_the_third_brings_families_back(
    report: Path, look: Any
) -> None:
    page = look(report)
    head = page.locator("table.main thead th", has_text="Rel").last
    families = page.locator("table.main tr.family")
    assert order(page) == ["unedited", "ft", "mend", "ike"]
    assert families.all_inner_texts() == ["Fine-tuning", "Meta-learning", "Memory"]
    told = []
    for _ in range(3):
        head.locator("button").click()
        told.append((head.get_attribute("aria-sort"), order(page), families.first.is_visible()))
    assert told == [
        ("descending", ["mend", "ike", "ft", "unedited"], False),
        ("ascending", ["unedited", "ft", "ike", "mend"], False),
        (None, ["unedited", "ft", "mend", "ike"], True),
    ]


def test_the_keyboard_sorts_and_words_begin_with_a(report: Path, look: Any) -> None:
    page = look(report)
    page.locator("table.main thead th", has_text="method").locator("button").focus()
    page.keyboard.press("Enter")
    assert order(page) == ["ft", "ike", "mend", "unedited"]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert order(page) == ["mend", "ike", "ft", "unedited"]
    assert page.locator("table.main th[aria-sort]").count() == 1


def test_what_has_no_number_comes_last_either_way(make_runs: Any, look: Any, tmp_path: Path) -> None:
    runs = runs_of(make_runs, SKILLS)
    runs[1] = replace(runs[1], header=replace(runs[1].header, fit_seconds=None))
    page = look(write_page({"vqa": runs}, tmp_path))
    table = page.locator("table.costs", has_text="fit (s)")
    head = table.locator("thead th", has_text="fit (s)")
    for _ in range(2):
        head.locator("button").click()
        assert table.locator("tbody tr").last.inner_text().startswith("ft\t")


def test_a_phone_has_a_list_to_sort_by(report: Path, look: Any) -> None:
    page = look(report, viewport={"width": 390, "height": 844})
    assert not page.locator("table.main thead").is_visible()
    select = page.locator("#vqa .sorter select").first
    assert "wild Rel" in select.locator("option").all_inner_texts()
    select.select_option("wild Rel")
    assert order(page) == ["mend", "ike", "ft", "unedited"]
    select.select_option("as listed")
    assert order(page) == ["unedited", "ft", "mend", "ike"]


def test_tables_of_single_edits_are_left_alone(report: Path, look: Any) -> None:
    page = look(report)
    assert page.locator("article th").count() > 0
    assert page.locator("article th button").count() == 0
