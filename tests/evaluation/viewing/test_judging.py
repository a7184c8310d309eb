"""Verdicts beside answers: as a score of their own, and where they and the match differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from evaluation.results.verdicts import Verdict, verdict_lines
from evaluation.viewing.app import viewer
from evaluation.viewing.index import make_index
from evaluation.viewing.lists import Wanted, find_edits
from evaluation.viewing.titles import about, overview
from mmedit_build.console import silent
from mmedit_build.pages.index import Index
from tests.evaluation.viewing.conftest import judge
from tests.serving import browsing, running

RELIABILITY = "judged.reliability.match."


@pytest.fixture
def judged(results: Path, tmp_path: Path) -> Index:
    judge(results / "vqa" / "ft")
    return make_index([results], tmp_path / "cache", None, silent)


def test_verdicts_are_a_score_with_means(judged: Index) -> None:
    with judged.reading() as connection:
        tables = overview(connection, "vqa")
        told = about(connection)
        ft = next(run for run in told["runs"] if run["name"] == "ft")
    table = tables[-1]
    assert table["title"] == "Judged by a language model"
    assert [row["run"] for row in table["rows"]] == [ft["run"]]
    assert ft["judge"] == "sage"
    # One of four edits matches, and the judge calls a second one right.
    assert table["rows"][0]["means"][RELIABILITY][0] == 0.5
    (measure,) = [one for one in told["tasks"][0]["measures"] if one["key"] == RELIABILITY]
    assert (measure["metric"], measure["compared"], measure["main"]) == ("judged right", True, True)


def test_what_judge_and_match_differ_about_is_a_filter(judged: Index) -> None:
    with judged.reading() as connection:
        runs = ",".join(str(run["run"]) for run in about(connection)["runs"])
        for measure in (RELIABILITY, "wild.reliability.match."):
            wanted = Wanted(task="vqa", measure=measure, runs=runs, show="disputed")
            number, found = find_edits(connection, wanted)
            assert (number, found[0]["id"]) == (1, "vqa/test/101")
        # Of a score that nobody judges there is nothing to differ about.
        for measure in ("wild.text_locality.unchanged.far", "legacy.reliability.exact_match."):
            wanted = Wanted(task="vqa", measure=measure, runs=runs, show="disputed")
            assert find_edits(connection, wanted) == (0, [])


def test_new_verdicts_are_read(judged: Index, results: Path, tmp_path: Path) -> None:
    lines = verdict_lines(results / "vqa" / "ft")
    lines.write(json_changed(one) for one in lines.read())
    make_index([results], tmp_path / "cache", None, silent)
    with judged.reading() as connection:
        (means,) = connection.execute("SELECT means FROM runs WHERE name = 'ft'").fetchone()
    assert json.loads(means)[RELIABILITY][0] == 1


def json_changed(verdict: Verdict) -> Verdict:
    return Verdict(judge="sage", prompt="grade#1", raw="Right.", right=True, **verdict.said._asdict())


def test_a_verdict_stands_beside_its_answer(judged: Index) -> None:
    with running(viewer(judged, [])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/")
        section = page.locator("section", has_text="Judged by a language model")
        section.get_by_role("link").first.click()
        expect(page.locator("#count")).to_contain_text("reliability, judged right (judged)")
        page.get_by_label("Show").select_option("disputed")
        expect(page.locator(".row")).to_have_count(1)
        expect(page.locator(".row .verdict")).to_have_text("judge: right")
        page.locator(".row .answer").click()
        expect(page.get_by_role("dialog")).to_contain_text("Judge sage")
        page.keyboard.press("Escape")
        page.locator(".row .title").click()
        expect(page.locator(".probe").first.locator(".verdict")).to_have_text("judge: right")
