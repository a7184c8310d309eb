"""Pages served as the commands serve them, for as long as a test looks at them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

from mmedit_build.pages.serving import listen, server

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def running(app: FastAPI) -> Iterator[int]:
    """Serves it; the port."""
    running = server(app)
    with listen(0) as listening:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()


@contextmanager
def browsing(expected: str = "", **options: Any) -> Iterator[Page]:
    """A page of a real browser without a window; any complaint of its console that is not expected fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on the path")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
        page = browser.new_page(**options)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        yield page
        browser.close()
    assert [one for one in complaints if not (expected and expected in one)] == []


def choose_while_searching(page: Page, words: str, name: str, value: str) -> None:
    """Both within the moment that a search waits for more letters."""
    page.evaluate(
        """([words, name, value]) => {
            const search = document.querySelector("input[type=search]");
            const choice = document.querySelector(`[name=${name}]`);
            search.value = words; search.dispatchEvent(new Event("input"));
            choice.value = value; choice.dispatchEvent(new Event("change"));
        }""",
        [words, name, value],
    )
