"""Every number of the report leads to the cases that it is of: their mean is the number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, expect

from evaluation.data.dataset import load_cases
from evaluation.results.presets import PRESETS
from evaluation.results.records import LINES
from evaluation.viewing.app import viewer
from evaluation.viewing.index import make_index
from evaluation.viewing.lists import Wanted, find_edits
from evaluation.viewing.steps import Steps, find_steps
from mmedit_build.console import silent
from mmedit_build.pages.index import Index
from tests.evaluation.viewing.conftest import judge, make_run, make_stream
from tests.serving import browsing, running

NO_CASES = {
    *("seeds", "judged", "missing", "edits", "orders", "gap", "tests", "skipped", "changed"),
    *("patch (kB)", "edit (s)", "peak (MB)", "slower", "fit (s)", "probe (s)"),
}
"""Columns of counts, of times and of sizes."""
BARE = """() => [...document.querySelectorAll("section:not(#runs) td[data-label]")]
    .filter((cell) => !cell.closest(".facts, article") && /\\d/.test(cell.textContent))
    .filter((cell) => !cell.querySelector("a"))
    .map((cell) => cell.dataset.label)"""
LINKS = """() => [...document.querySelectorAll("a.cases")].map((link) => [link.getAttribute("href"),
    link.closest("svg") ? (link.querySelector("title")?.textContent ?? "") : link.textContent])"""
SHAPES = ":is(circle, rect, polygon)"
MARKS = f"svg {SHAPES}:not(.ring, .shape, .swatch *)"
"""Those of radars are of several numbers at once."""


@pytest.fixture
def whole(results: Path, dataset: Path, tmp_path: Path) -> Index:
    """Runs of two seeds, of two models, and of several edits at once; verdicts; streams of two seeds, and as
    publications have them."""
    cases, vqa = load_cases(str(dataset), "vqa"), results / "vqa"
    make_run(vqa / "ft-1", "ft", cases, dataset, seed=1)
    make_run(vqa / "other", "ike", cases, dataset, model="other")
    make_run(vqa / "ft@2", "ft", cases, dataset, at_once=2)
    # The same once more, but stopped before its end: the report shows the whole one.
    stopped = make_run(vqa / "stopped", "ft", cases, dataset) / LINES
    stopped.write_text("".join(stopped.read_text().splitlines(keepends=True)[:3]))
    judge(vqa / "ft")
    for method, seed, forgets in (("ft", 0, 2), ("ft", 1, 1), ("ike", 0, 0)):
        make_stream(vqa / "streams" / f"{method}-{seed}", method, cases, dataset, forgets, seed=seed)
    for preset in PRESETS:
        make_stream(vqa / "presets" / preset, "ft", cases, dataset, 1, preset=preset)
    return make_index([results], tmp_path / "cache", None, silent)


def test_every_number_is_the_mean_of_the_cases_that_it_leads_to(whole: Index, results: Path) -> None:
    with running(viewer(whole, [results])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/report")
        bare, links = page.evaluate(BARE), page.evaluate(LINKS)
        assert page.locator(MARKS).count() == page.locator(f"a.cases > {SHAPES}").count() > 0
    assert set(bare) <= NO_CASES
    told = [(address, shown_in(text)) for address, text in links if shown_in(text) is not None]
    assert len(told) > 400
    assert sum("view=streams" in address for address, _ in told) > 100
    with whole.reading() as connection:
        for address, shown in told:
            assert shown == pytest.approx(mean_of(connection, address), abs=0.51), address


def shown_in(text: str) -> float | None:
    """The number of a cell, or of the tip of a mark, which has that of the axis upward last."""
    found = re.search(r"(-?\d+\.\d) \(95% interval[^;]*$|^(-?\d+(?:\.\d)?)(?= ?[\[±]|$)", text)
    return None if found is None else float(found[1] or found[2])


def mean_of(connection: Any, address: str) -> float:
    """In percent, over all cases of a list, whichever are shown first."""
    asked = {**dict(parse_qsl(address.removeprefix("/?"))), "show": "all"}
    values = steps_of if asked.pop("view") == "streams" else edits_of
    return 100 * fmean(fmean(of_run) for of_run in values(connection, asked))


def edits_of(connection: Any, asked: dict[str, str]) -> Iterator[Sequence[float]]:
    wanted = Wanted.model_validate(asked)
    _, edits = find_edits(connection, wanted)
    for place in range(len(wanted.parts)):
        cells = [edit["cells"][place] for edit in edits]
        yield [cell["value"] for cell in cells if cell and cell["value"] is not None]


def steps_of(connection: Any, asked: dict[str, str]) -> Iterator[Sequence[float]]:
    wanted = Steps.model_validate(asked)
    time = 0 if wanted.column == "Online" else wanted.number
    steps = find_steps(connection, wanted)["steps"]
    for place in range(wanted.runs.count(",") + 1):
        cells = [step["cells"][place] for step in steps]
        now = [(cell, cell[time]["value"]) for cell in cells if time in cell]
        lost = wanted.column.startswith("Lost")
        yield [cell[0]["value"] - value if lost else value for cell, value in now if value is not None]


def test_from_a_point_of_a_figure_and_from_a_stream_to_the_cases(whole: Index, results: Path) -> None:
    with running(viewer(whole, [results])) as port, browsing() as page:
        report = f"http://127.0.0.1:{port}/report"
        follow(page, report, "figure a.cases:has(circle.edit)")
        expect(page.locator(".question")).to_be_visible()
        follow(page, report, "figure:has-text('Locality by distance') a.cases:has(.mark)")
        expect(page.locator("#count")).to_contain_text("image locality, cosine of the question")
        expect(page.locator("[name=measure]")).to_have_value(re.compile(r"\.question:0\.\d+:0\.\d+$"))
        follow(page, report, "td[data-label=agreement] a.cases")
        expect(page.locator("#count")).to_contain_text("all answers, judge and match agree (judged)")
        follow(page, report, "td[data-label='Lost old'] a.cases")
        expect(page.locator("#count")).to_contain_text("oldest third of earlier edits after 2 edits")
        follow(page, report, "[aria-label*='vlkeb-gap'] td[data-label='I-Gen'] a.cases")
        expect(page.locator("#count")).to_contain_text("4 asked, I-Gen, VLKEB's sequential editing, gap 0")
        expect(page.locator(".times td.said.now")).to_have_count(4)


def follow(page: Page, report: str, what: str) -> None:
    """Along the first link of a kind in the report, which may lie in what is folded."""
    page.goto(report)
    page.locator(what).first.evaluate("(link) => location.assign(link.getAttribute('href'))")


def test_a_figure_that_is_saved_has_all_its_marks_and_no_link(whole: Index, results: Path) -> None:
    with running(viewer(whole, [results])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/report")
        figure = page.locator("figure.plot").first
        with page.expect_download() as download:
            figure.get_by_role("button", name="SVG").first.click()
        saved = Path(download.value.path()).read_text()
        marks = figure.locator("svg circle, svg polygon").count()
    assert saved.count("<circle") + saved.count("<polygon") == marks > 0
    assert "href" not in saved
