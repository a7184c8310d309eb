"""The page in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from evaluation.viewing.app import viewer
from evaluation.viewing.index import make_index
from mmedit_build.console import silent
from mmedit_build.pages.index import Index
from tests.serving import browsing, choose_while_searching, running

SEEN = "() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)"


def test_from_a_number_to_its_cases_to_one_of_them_and_on(index: Index) -> None:
    with running(viewer(index, [])) as port, browsing() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://127.0.0.1:{port}/")
        row = page.locator("tr", has=page.get_by_text("ft", exact=True)).last
        expect(row.get_by_role("link").nth(1)).to_have_text("25")
        row.get_by_role("link").nth(1).click()
        expect(page.locator("#count")).to_contain_text("3 edits, text generality, match (wild)")
        expect(page.locator(".row")).to_have_count(3)
        expect(page.locator(".row").first).to_contain_text("wrong <b>ft</b>")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator(".probe")).to_have_count(6)
        page.wait_for_function(SEEN)
        second = page.locator(".question").inner_text()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".question")).not_to_have_text(second)
        page.keyboard.press("Escape")
        expect(page.locator(".row")).to_have_count(3)
        # Nothing is asked of anybody else.
        assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{port}"}


def test_it_says_where_there_are_no_pictures(index: Index, results: Path, tmp_path: Path) -> None:
    for header in results.rglob("run.json"):
        content = json.loads(header.read_text())
        content["settings"]["dataset"] = "gone/dataset"
        header.write_text(json.dumps(content))
    gone = make_index([results], tmp_path / "other", None, silent)
    for of, number in ((index, 0), (gone, 1)):
        with running(viewer(of, [])) as port, browsing() as page:
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("table").first).to_be_visible()
            expect(page.get_by_text("There are no pictures of gone/dataset")).to_have_count(number)


def test_filters_search_and_two_runs_side_by_side(index: Index) -> None:
    with running(viewer(index, [])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/?view=edits")
        # Of two methods the answers are shown at once.
        expect(page.locator(".row")).to_have_count(4)
        page.locator("details.runs summary").click()
        page.get_by_label("unedited").check()
        expect(page.locator(".matrix thead th")).to_have_count(4)
        page.get_by_label("Show").select_option("disagree")
        expect(page.locator(".matrix tbody tr")).to_have_count(2)
        page.get_by_label("Show").select_option("all")
        expect(page.locator(".matrix tbody tr")).to_have_count(4)
        page.get_by_label("Search").fill("wrong <b>ike")
        expect(page.locator(".matrix tbody tr")).to_have_count(2)
        page.get_by_label("Search").fill("")
        expect(page.locator(".matrix tbody tr")).to_have_count(4)
        page.get_by_label("unedited").uncheck()
        expect(page.locator(".paired")).to_contain_text("ft less ike: \u221225.0")
        page.get_by_role("link", name="1 worse").click()
        expect(page.locator(".row")).to_have_count(1)
        answers_are_beside_each_other(page)


def test_all_runs_can_be_chosen_on_a_low_screen(index: Index) -> None:
    with running(viewer(index, [])) as port, browsing(viewport={"width": 1280, "height": 150}) as page:
        page.goto(f"http://127.0.0.1:{port}/?view=edits")
        page.locator("details.runs summary").click()
        # What does not fit is below, where one scrolls, and not beside.
        assert page.locator(".chooser").evaluate("(one) => one.scrollHeight > one.clientHeight")
        assert page.locator(".chooser").evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_what_is_chosen_while_a_search_waits_stays(index: Index) -> None:
    with running(viewer(index, [])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/?view=edits")
        expect(page.locator(".row")).to_have_count(4)
        choose_while_searching(page, "wrong <b>ft", "show", "fails")
        page.wait_for_url("**text=wrong**")
        assert "show=fails" in page.url


def answers_are_beside_each_other(page: Page) -> None:
    wrong, right = page.locator(".asked .answer").all()
    one, other = wrong.bounding_box(), right.bounding_box()
    assert one is not None
    assert other is not None
    assert one["y"] == other["y"]
    assert one["x"] < other["x"]
    wrong.click()
    expect(page.get_by_role("dialog")).to_contain_text("token accuracy")


def test_a_phone_shows_all_without_moving_sideways(index: Index) -> None:
    with running(viewer(index, [])) as port, browsing(viewport={"width": 390, "height": 800}) as page:
        for path in ("", "?view=edits", "?view=edit&edit=vqa/test/100"):
            page.goto(f"http://127.0.0.1:{port}/{path}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_filter_that_there_is_not_is_told_along_with_those_that_there_are(streamed: Index) -> None:
    with running(viewer(streamed, [])) as port, browsing("status of 4") as page:
        for view, name, told in (
            ("edits", "show", "There is no choice 'none' for show; there are: 'all', 'fails',"),
            ("edits", "sort", "There is no choice 'none' for sort; there are: 'dataset', 'low',"),
            ("edits", "type", "There is no question type 'none'; there are: "),
            ("edits", "page", "page cannot be 'none': should be a valid integer"),
            ("streams&column=Kept", "show", "There is no choice 'none' for show; there are: 'all', 'fails',"),
        ):
            page.goto(f"http://127.0.0.1:{port}/?view={view}&{name}=none")
            expect(page.get_by_role("alert")).to_contain_text(told)
        # The controls are there to choose another one by.
        page.get_by_label("Show").select_option("fails")
        expect(page.locator("#count")).to_be_visible()
        answer = page.request.get(f"http://127.0.0.1:{port}/api/edits?task=vqa&runs=1&show=fails")
        assert (answer.status, answer.json()) == (422, {"error": "The request does not say measure."})
