"""Reports of many methods stay readable, as a browser measures: names in plots, and the best in bold."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from editors import EDITORS, editor_class
from evaluation.drawing.markup import join
from evaluation.drawing.style import STYLE
from evaluation.report.board import make_board
from evaluation.report.page import write_page
from evaluation.report.plots import agreements, tradeoffs
from evaluation.report.runs import Run
from evaluation.results.about import About
from mmedit_build.page import document

BOXES = """() => [...document.querySelectorAll("svg")].map((svg) =>
  [...svg.querySelectorAll(KIND)].map((one) => {
    const box = one.getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom];
  }))"""
METHODS = [name for name in EDITORS if editor_class(name).family != "sanity"][:24]


def runs_of(make_runs: Any, skills: dict[str, float], **plan: Any) -> list[Run]:
    """Runs of some methods that know of their families."""
    found: list[Run] = []
    for run in make_runs(skills=skills, **plan)["vqa"]:
        family = editor_class(run.name).family if run.name in EDITORS else ""
        about = About(family=family, batch=True) if family else None
        found.append(replace(run, header=replace(run.header, about=about)))
    return found


def overlaps(boxes: list[list[float]]) -> int:
    return sum(
        min(one[2], other[2]) - max(one[0], other[0]) > 0.5
        and min(one[3], other[3]) - max(one[1], other[1]) > 3
        for one, other in combinations(boxes, 2)
    )


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("shown", ["best", "all"])
def test_names_of_24_methods_near_the_corner_do_not_overlap(
    make_runs: Any, look: Any, tmp_path: Path, width: int, shown: str
) -> None:
    # From 100 down to 77 percent, several of each number.
    skills = {name: 1 - number // 3 * 0.0334 for number, name in enumerate(METHODS)}
    ids = tuple(f"made-up/{number}" for number in range(30))
    board = make_board("vqa", runs_of(make_runs, {"unedited": 0.0, **skills}, ids=ids))
    assert len(METHODS) == 24
    if shown == "all":
        board = replace(board, foremost=frozenset(run.name for run in board.runs))
    body = join([tradeoffs(board), agreements(board)])
    (tmp_path / "page.html").write_bytes(document("Plots", STYLE, body))
    page = look(tmp_path / "page.html", viewport={"width": width, "height": 900})
    names = page.evaluate(BOXES.replace("KIND", '"text.name"'))
    assert len(names) == 12
    assert all(len(of) == (25 if shown == "all" else 9) for of in names)
    assert [overlaps(of) for of in names] == [0] * len(names)
    panels = page.evaluate("() => [...document.querySelectorAll('svg')].map((one) => one.clientWidth)")
    lefts = page.evaluate(
        "() => [...document.querySelectorAll('svg')].map((one) => one.getBoundingClientRect().left)"
    )
    assert all(
        box[2] <= left + wide + 12 for of, wide, left in zip(names, panels, lefts, strict=True) for box in of
    )


def test_only_the_best_of_a_column_are_bold(make_runs: Any, look: Any, tmp_path: Path) -> None:
    runs = runs_of(make_runs, {"unedited": 0.0, "ft": 0.5, "mend": 1.0, "ike": 1.0, "oracle": 1.0})
    leaky = replace(runs[3].header, about=About(family="memory", batch=True, leaks=True))
    runs[3] = replace(runs[3], header=leaky)
    page = look(write_page({"vqa": runs}, tmp_path))
    bold = page.locator("table.main tbody tr:has(td b) th b").all_inner_texts()
    # Text that no edit changes is 100 of the unedited model, too, which does not compete.
    assert bold == ["mend"]
    assert page.locator("table.main td b").count() == 12
