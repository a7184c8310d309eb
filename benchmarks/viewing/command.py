"""How long the viewer takes at full size: its index, its first paint, and what one waits for a filter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

from benchmarks.viewing.besides import add_besides
from benchmarks.viewing.made import make_results
from mmedit_build.console import show_path
from mmedit_build.errors import UserError
from mmedit_build.files import is_folder
from mmedit_build.store import write_atomic

ROUNDS = 5
BROWSER = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
FILTERS = {
    "one run fails": {"show": "fails"},
    "runs disagree": {"show": "disagree", "sort": "spread"},
    "a type": {"type": "color"},
    "words in questions and answers": {"text": "zebra"},
    "words that are nowhere": {"text": "no such words"},
    "another score, lowest first": {"measure": "legacy.image_locality.top10.near", "sort": "low"},
    "two runs that differ": {"runs": "2,3", "show": "unlike", "sort": "difference"},
    "the last page": {"page": "59"},
    "judge and match differ": {"measure": "judged.reliability.match.", "show": "disputed", "sort": "low"},
    "streams: what is lost": {"view": "streams", "column": "Kept", "number": "3000", "show": "lost"},
    "streams: just after the edit": {
        "view": "streams",
        "column": "Online",
        "show": "disagree",
        "sort": "low",
    },
    "streams: words": {"view": "streams", "column": "Kept", "number": "3000", "text": "zebra"},
    "streams: the fixed set": {"view": "streams", "column": "I-Loc", "number": "1000", "show": "fails"},
}


def main(
    out: Annotated[Path, typer.Argument(help="Folder for results, index and viewing.json.")],
    edits: int = 3000,
    methods: int = 24,
) -> None:
    """Make up results, index them, and look at them in a browser: medians of several looks, in seconds."""
    results, cache = out / "results", out / "cache"
    if not is_folder(results):
        make_results(results, edits, methods)
        add_besides(results)
    shutil.rmtree(cache, ignore_errors=True)
    measured = {"first": _look(results, cache, {}), "again": _look(results, cache, FILTERS)}
    write_atomic(out / "viewing.json", json.dumps(measured, indent=1).encode() + b"\n")
    for name, value in [*measured["first"].items(), *measured["again"].items()]:
        typer.echo(f"{name}: {value:,.2f}")
    show_path("Numbers", out / "viewing.json")


def _look(results: Path, cache: Path, filters: dict[str, dict[str, str]]) -> dict[str, float]:
    began = time.perf_counter()
    with _served(results, cache) as (address, process):
        found = {
            "seconds until it is served": time.perf_counter() - began,
            "of the processor": _processor(process.pid),
        }
        if filters:
            with _browser() as page:
                found |= _times(page, address, filters)
        found["peak memory in MB"] = _peak(process.pid)
    return found


@contextmanager
def _served(results: Path, cache: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    code = "from evaluation.cli import main; main()"
    command = ["-c", code, "view", str(results), "--cache", str(cache), "--port", "0"]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split()[2], process
        process.terminate()


@contextmanager
def _browser() -> Iterator[Page]:
    found = shutil.which("chromium")
    if found is None:
        raise UserError("There is no chromium on the path; install one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*BROWSER])
        yield browser.new_page()
        browser.close()


def _times(page: Page, address: str, filters: dict[str, dict[str, str]]) -> dict[str, float]:
    """From the request for a page to its first paint, and to all of it; from a filter to its list."""
    painted, whole, listed = [], [], []
    for _ in range(ROUNDS):
        page.goto(address)
        page.wait_for_selector(".means td a")
        whole.append(page.evaluate("performance.now()") / 1000)
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        painted.append(page.evaluate(paint) / 1000)
        page.goto(f"{address}?view=edits&task=vqa")
        page.wait_for_selector("#count")
        listed.append(page.evaluate("performance.now()") / 1000)
    found = {"first paint": painted, "the overview": whole, "the list of all": listed}
    for name, values in filters.items():
        found[name] = [_filtered(page, {"view": "edits", "task": "vqa", **values}) for _ in range(ROUNDS)]
    return {name: sorted(of)[len(of) // 2] for name, of in found.items()}


def _filtered(page: Page, values: dict[str, str]) -> float:
    """Seconds from the choice until the list has changed and is laid out."""
    script = """async (values) => {
        const {go, address} = await import("/shared/shared.js");
        go(address(values.view === "streams"
            ? {view: "streams", task: "vqa", column: values.column} : {view: "edits", task: "vqa"}));
        await new Promise((done) => setTimeout(done, 1500));
        const before = document.getElementById("list").firstChild;
        const began = performance.now();
        go(address(values));
        await new Promise((done) => new MutationObserver(() => done()).observe(
            document.getElementById("list"), {childList: true}));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
        if (document.getElementById("list").firstChild === before) throw new Error("nothing changed");
        return (performance.now() - began) / 1000;
    }"""
    return float(page.evaluate(script, values))


def _processor(process: int) -> float:
    """Seconds of the processor that a process has had: on a busy machine they tell more than the clock."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def _peak(process: int) -> float:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
