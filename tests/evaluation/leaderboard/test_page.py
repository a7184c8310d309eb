"""The page in a real browser: what filters and titles of columns do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from evaluation.leaderboard.commands import leaderboard
from tests.pages import Reader

BROWSER = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ENTRIES = Path(__file__).parents[3] / "leaderboard"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("board")
    told = list(leaderboard(str(ENTRIES), out))
    assert told[0] == "8 entries were scored again, on 2 boards."
    return out


@pytest.fixture(scope="module")
def page(written: Path) -> Iterator[Page]:
    if BROWSER is None:
        pytest.skip("no Chromium on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        opened = browser.new_page()
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto((written / "index.html").as_uri())
        yield opened
        assert wrong == []
        browser.close()


def methods(page: Page) -> list[str]:
    """The methods that are shown, in their order."""
    return page.locator(".standings tbody tr:visible th b").all_inner_texts()


def test_the_page_is_whole_and_asks_for_nothing(written: Path) -> None:
    reader = Reader((written / "index.html").read_bytes())
    assert all("src" not in attributes for _, attributes in reader.tags)
    assert len(reader.named("table")) == 4
    assert "meta-learning, seed 0, 2026" in (written / "index.html").read_text()


def test_rows_are_chosen_by_what_they_are(page: Page) -> None:
    everything = ["mend", "ft", "remember", "unedited"]
    page.select_option("[name=task]", "caption")
    page.select_option("[name=protocol]", "wild")
    assert methods(page) == everything
    assert page.inner_text("#count") == "4 rows"
    assert "task=caption&protocol=wild" in page.url
    page.select_option("[name=family]", "memory")
    assert methods(page) == ["remember"]
    page.select_option("[name=family]", "")
    page.select_option("[name=level]", "reference")
    assert methods(page) == everything


def test_a_title_sorts_its_table(page: Page) -> None:
    page.select_option("[name=task]", "caption")
    page.select_option("[name=protocol]", "wild")
    title = page.locator("section:visible thead button", has_text="edit").first
    title.click()
    assert methods(page) == ["ft", "mend", "remember", "unedited"]
    title.click()
    assert methods(page) == ["remember", "mend", "ft", "unedited"]
    title.click()
    assert methods(page) == ["mend", "ft", "remember", "unedited"]


def test_nothing_is_wider_than_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 800})


def test_the_table_has_a_row_for_each_entry_and_protocol(written: Path) -> None:
    lines = (written / "leaderboard.csv").read_text().splitlines()
    assert len(lines) == 1 + 16
    (mend,) = [line.split(",") for line in lines if ",wild,mend," in line and ",caption," in line]
    row = dict(zip(lines[0].split(","), mend, strict=True))
    assert (row["place"], row["seed"]) == ("1", "0")
    assert float(row["score"]) == pytest.approx(0.909, abs=0.001)
    assert row["level"] == "reference"
