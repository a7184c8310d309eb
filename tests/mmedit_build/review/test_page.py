"""The page of a review in a real browser: keys and clicks answer, and what is answered is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mmedit_build.review.answers import read_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.review.order import drawn
from tests.mmedit_build.review.conftest import Drawn, MakeDrawn, reviewing

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium on the path")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=[*FLAGS, "--disable-sync"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; what goes wrong in it, and whatever it asks of others, fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: wrong.append(request.url))
    yield opened
    opened.close()
    assert [text for text in wrong if not text.startswith(("http://127.0.0.1:", "data:"))] == []


def look(page: Page, port: int) -> None:
    """Open the page, and wait for its first question."""
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#row")).to_be_visible()


def press(page: Page, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def progress(page: Page, judged: int, rows: int) -> None:
    expect(page.locator("#progress")).to_have_text(f"ada: {judged} of {rows} rows judged")


def test_somebody_goes_through_rows_with_the_keyboard(page: Page, make_drawn: MakeDrawn) -> None:
    build = make_drawn(6, wrong=0.5, pictures=True)
    wanted = build.judged_by("ada", rows=drawn(build.edits)[:4])
    with reviewing(build, rows=4) as port:
        look(page, port)
        for number, edit in enumerate(drawn(build.edits)[:4]):
            progress(page, number, 4)
            expect(page.locator("#name")).to_contain_text(edit.id)
            expect(page.locator("#texts")).to_contain_text(edit.prediction)
            for asked in asked_of(edit):
                press(page, wanted[asked.of][0])
        expect(page.locator("#done")).to_be_visible()
        progress(page, 4, 4)
    assert read_answers(build.work) == {"ada": wanted}


def test_each_question_shows_what_it_is_about(page: Page, make_drawn: MakeDrawn) -> None:
    build = make_drawn(3, pictures=True)
    edit = drawn(build.edits)[0]
    assert edit.rephrase is not None
    assert edit.locality is not None
    with reviewing(build) as port:
        look(page, port)
        for question, shown, pictures in (
            ("Is the model wrong, and the target right?", edit.target, ["image"]),
            ("Does the rephrase ask for the same?", edit.rephrase.text, ["image"]),
            ("Is the target right about the painting, too?", edit.target, ["image", "painting"]),
            ("Is this answer right?", edit.locality.image[0].answer, ["3"]),
        ):
            expect(page.locator("#asked")).to_have_text(question)
            expect(page.locator("#texts")).to_contain_text(shown)
            images = page.locator("#pictures img")
            expect(images).to_have_count(len(pictures))
            for place, name in enumerate(pictures):
                expect(images.nth(place)).to_have_attribute("src", f"/pictures/0/{name}")
                expect(images.nth(place)).to_have_js_property("complete", value=True)
                assert images.nth(place).evaluate("image => image.naturalWidth") > 0
            press(page, "y")
        expect(page.locator("#name")).to_contain_text("Row 2 of 3")


def of(build: Drawn, row: int) -> list[str]:
    return [one.of for one in asked_of(drawn(build.edits)[row])]


def test_answers_are_undone_and_changed_and_one_goes_on_where_one_stopped(
    page: Page, make_drawn: MakeDrawn
) -> None:
    build = make_drawn(3)
    with reviewing(build) as port:
        look(page, port)
        press(page, "yyyyn")
        expect(page.locator("#asked")).to_have_text("Does the rephrase ask for the same?")
        page.keyboard.press("Backspace")
        expect(page.locator("#asked")).to_have_text("Is the model wrong, and the target right?")
        press(page, "z")
        expect(page.locator("#name")).to_contain_text("Row 1 of 3")
        expect(page.locator("#asked")).to_have_text("Is this answer right?")
        page.keyboard.press("ArrowUp")
        expect(page.locator("[data-answer=yes]")).to_have_attribute("aria-pressed", "true")
        page.locator("[data-answer=unsure]").click()
        expect(page.locator("#asked")).to_have_text("Is this answer right?")
    first = of(build, 0)
    assert read_answers(build.work) == {"ada": {first[0]: "yes", first[1]: "yes", first[2]: "unsure"}}
    with reviewing(build) as port:
        look(page, port)
        expect(page.locator("#asked")).to_have_text("Is this answer right?")
        press(page, "y")
        progress(page, 1, 3)
        page.locator("#steps button").nth(2).click()
        expect(page.locator("#asked")).to_have_text("Is the target right about the painting, too?")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#name")).to_contain_text("Row 1 of 3")


def test_who_answers_a_server_that_is_gone_is_told_that_nothing_is_kept(
    page: Page, make_drawn: MakeDrawn
) -> None:
    build = make_drawn(2)
    with reviewing(build) as port:
        look(page, port)
        press(page, "y")
        expect(page.locator("#asked")).to_have_text("Does the rephrase ask for the same?")
    press(page, "y")
    expect(page.locator("#trouble")).to_contain_text("The server does not answer")
    expect(page.locator("#asked")).to_have_text("Does the rephrase ask for the same?")
    assert read_answers(build.work) == {"ada": {of(build, 0)[0]: "yes"}}


def test_no_text_of_a_row_becomes_markup_and_a_phone_needs_no_scrolling_sideways(
    page: Page, make_drawn: MakeDrawn
) -> None:
    build = make_drawn(2)
    words = "<img src=x onerror=alert(1)>" + "long" * 60
    build.edits = [replace(edit, prediction=words, target=words) for edit in build.edits]
    page.set_viewport_size({"width": 390, "height": 780})
    with reviewing(build) as port:
        look(page, port)
        expect(page.locator("#texts")).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
