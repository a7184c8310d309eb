"""The report beside the viewer: its numbers lead to their cases."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from playwright.sync_api import expect

from evaluation.report.page import render
from evaluation.report.runs import find_runs
from evaluation.viewing.app import viewer
from evaluation.viewing.index import make_index
from mmedit_build.console import silent
from mmedit_build.pages.index import Index
from tests.serving import browsing, running


def test_numbers_of_the_report_lead_to_their_cases(index: Index, results: Path) -> None:
    with running(viewer(index, [results])) as port, browsing() as page:
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("link", name="report").click()
        row = page.locator("table.main tr", has=page.locator("th", has_text="ike")).first
        cell = row.locator("td[data-label='wild T-Gen']")
        expect(cell.get_by_role("link")).to_contain_text("50.0")
        cell.get_by_role("link").click()
        expect(page.locator("#count")).to_contain_text("2 edits, text generality, match (wild)")
        expect(page.locator(".row").first).to_contain_text("wrong <b>ike</b>")
        page.go_back()
        # Sorting and all else that the page does by itself it still does.
        page.get_by_role("button", name="method").first.click()
        expect(page.locator("table.main [aria-sort=ascending]")).to_have_count(1)
        numbers = page.locator("table.main td[data-cases]")
        assert (
            numbers.count() == page.locator("table.main td[data-cases] a, table.main td:text-is('-')").count()
        )
        assert problems == []


@pytest.mark.usefixtures("streamed")
def test_streams_alone_have_a_report(results: Path, tmp_path: Path) -> None:
    streams = results / "vqa" / "streams"
    index = make_index([streams], tmp_path / "other", None, silent)
    with running(viewer(index, [streams])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("link", name="report").click()
        expect(page.locator("h3", has_text="Edits one after the other")).to_have_count(1)
        page.locator("figure a.cases:has(.mark)").last.click()
        expect(page.locator("#count")).to_contain_text("general ability, fixed set after 4 edits")


def test_the_file_that_is_sent_around_stays_without_links(results: Path) -> None:
    page = render(find_runs([results])).decode()
    assert 'data-cases="run=ike&amp;measure=wild.text_generality.match."' in page
    assert 'href="/' not in page
    assert "runsByName" not in page


def test_it_may_run_nothing_but_its_own_script(index: Index, results: Path) -> None:
    with running(viewer(index, [results])) as port:
        (report, text), (usual, _) = (asked(port, path) for path in ("report", ""))
    policy = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    assert report["content-security-policy"] == policy
    assert text.count("script-src 'sha256-") == 1
    assert "script-src 'self'" in usual["content-security-policy"]
    assert report["x-content-type-options"] == usual["x-content-type-options"] == "nosniff"


def asked(port: int, path: str) -> tuple[Message, str]:
    opener = build_opener(ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/{path}") as answer:
        return answer.headers, answer.read().decode()
