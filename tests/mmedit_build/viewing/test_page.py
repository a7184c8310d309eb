"""The page of a build in a real browser."""

from __future__ import annotations

from playwright.sync_api import expect

from mmedit_build.pages.index import Index
from mmedit_build.viewing.app import viewer
from mmedit_build.work import Work
from tests.serving import browsing, choose_while_searching, running

SEEN = "() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)"


def test_from_a_count_to_a_row_and_its_other_stages(index: Index, work: Work) -> None:
    with running(viewer(index, work.folder)) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#count")).to_contain_text("21 rows")
        page.locator(".stages").get_by_role("link", name="1 answered right").click()
        expect(page.locator("article.row")).to_have_count(1)
        page.get_by_label("Why").select_option("")
        expect(page.locator("article.row")).to_have_count(2)
        page.get_by_label("Stage").select_option("rephrase")
        expect(page.locator("article.row")).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator(".tried")).to_contain_text("judge: not the same question")
        page.get_by_role("link", name="published: came out").click()
        expect(page.get_by_role("heading", name="Image locality")).to_be_visible()
        page.wait_for_function(SEEN)
        page.keyboard.press("Escape")
        expect(page.locator("article.row")).to_have_count(1)


def test_what_is_chosen_while_a_search_waits_stays(index: Index, work: Work) -> None:
    with running(viewer(index, work.folder)) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#count")).to_contain_text("21 rows")
        choose_while_searching(page, "corner", "stage", "mine")
        page.wait_for_url("**text=corner**")
        assert "stage=mine" in page.url


def test_a_phone_in_the_dark_shows_all_without_moving_sideways(index: Index, work: Work) -> None:
    with (
        running(viewer(index, work.folder)) as port,
        browsing(viewport={"width": 390, "height": 800}, color_scheme="dark") as page,
    ):
        for path in ("", "?row=1"):
            page.goto(f"http://127.0.0.1:{port}/{path}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") == 390
