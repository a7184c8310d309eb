"""Results made up for tests, and a real browser to look at pages with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from evaluation.data.cases import Kind
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.runs import Run
from evaluation.results.records import CaseResult, ProbeResult, RunResult, Settings
from mmedit_build.rows import Relation, Task

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SKILLS = {"unedited": 0.0, "good": 1.0, "poor": 0.25}
"""The share of edits that each method gets right."""
PLACES: tuple[tuple[Kind, Relation | None, str], ...] = (
    ("reliability", None, ""),
    ("text_generality", None, ""),
    ("image_generality", None, ""),
    ("text_locality", "far", "made-up fact"),
    ("image_locality", "far", "made-up question"),
    ("image_locality", "same_image", "made-up neighbor"),
)


def probe(
    kind: Kind,
    score: float,
    relation: Relation | None = None,
    item: str = "",
    *,
    words: str = "",
    protocols: Sequence[ProtocolName] = tuple(PROTOCOLS),
) -> ProbeResult:
    """One probe with the same made-up score wherever there is one; `words` is what all texts are."""
    legacy = {"top1": score, "top10": score} if relation else {"exact_match": score, "token_accuracy": score}
    wild = {"unchanged": score, "right": score, "kl": 1 - score} if relation else {"match": score}
    scores: dict[ProtocolName, dict[str, float]] = {"legacy": legacy, "wild": wild | {"consensus": score}}
    target = words or "made-up target"
    free = "wild" in protocols
    return ProbeResult(
        kind=kind,
        item=words or item,
        relation=relation,
        prompt=words or f"Q: What is {kind}? A:",
        target=target,
        before=(words or "made-up before") if free else None,
        after=(words or (target if score >= 0.5 else "made-up mistake")) if free else None,
        log_prob_before=-3.0,
        log_prob_after=-3.0 + 2 * score,
        target_tokens=1,
        written_tokens=1,
        scores={name: scores[name] for name in protocols},
    )


@dataclass(frozen=True)
class Plan:
    """What results shall look like."""

    skills: Mapping[str, float] = field(default_factory=lambda: SKILLS)
    tasks: Sequence[Task] = ("vqa",)
    ids: Sequence[str] = tuple(f"made-up/{number}" for number in range(8))
    protocols: Sequence[ProtocolName] = tuple(PROTOCOLS)
    words: str = ""
    skips: Sequence[str] = ()
    """Edits that methods could not make."""
    settings: Mapping[str, Any] = field(default_factory=dict)


def _run(name: str, task: Task, plan: Plan) -> Run:
    fields = {
        "method": name,
        "config": {"made_up": plan.words or 1},
        "model": plan.words or "made-up/model",
        "model_digest": "1",
        "dataset": plan.words or "made-up",
        "dataset_digest": "2",
        "task": task,
        "split": "test",
        "protocols": tuple(plan.protocols),
        "prompts": "family",
        "seed": 0,
    }
    settings = Settings(**{**fields, **plan.settings})
    header = RunResult(settings=settings, finished=True, fit_seconds=2.5, peak_bytes=3 * 10**8)
    results = [_case(name, task, number, row_id, plan) for number, row_id in enumerate(plan.ids)]
    return Run(plan.words or name, header, results)


def _case(name: str, task: Task, number: int, row_id: str, plan: Plan) -> CaseResult:
    right = float(number < plan.skills[name] * len(plan.ids))
    local = 1.0 if name == "unedited" else right
    probes = [
        probe(kind, local if relation else right, relation, item, words=plan.words, protocols=plan.protocols)
        for kind, relation, item in PLACES
    ]
    skipped = row_id in plan.skips and name != "unedited"
    return CaseResult(
        id=row_id,
        task=task,
        image_id=str(number // 2),
        question=plan.words or "What is reliability?",
        question_type=plan.words or ("color" if number % 2 else "count"),
        target=plan.words or "made-up target",
        skipped=(plan.words or "Made-up reason.") if skipped else None,
        probes=() if skipped else tuple(probes),
        plan_seconds=0.5,
        probe_seconds=0.25,
        changed=0 if name == "unedited" else 1234,
    )


class MakeRuns(Protocol):
    def __call__(self, **plan: Any) -> dict[Task, list[Run]]: ...


@pytest.fixture
def make_runs() -> MakeRuns:
    """Makes up the runs of some methods, by task."""

    def make(**changes: Any) -> dict[Task, list[Run]]:
        plan = replace(Plan(), **changes)
        return {task: [_run(name, task, plan) for name in plan.skills] for task in plan.tasks}

    return make


@pytest.fixture
def make_probe() -> Any:
    return probe


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page."""

    dom: str
    log: str
    """With what the page's console was told."""


FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser that tests use one after the other.

    Not for longer than a module: while it is there, so is its event loop, and a thread has one at most.
    """
    if BROWSER is None:
        pytest.skip("no Chromium on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


class Look(Protocol):
    def __call__(self, path: Path, **context: Any) -> Page: ...


@pytest.fixture
def look(chromium: Browser) -> Iterator[Look]:
    """Opens a page of a file, which may say nothing on its console."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(path: Path, **context: Any) -> Page:
        contexts.append(chromium.new_context(**context))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for one in contexts:
        one.close()
    assert said == []


class Browse(Protocol):
    def __call__(self, page: Path, fragment: str = "", *flags: str) -> Seen: ...


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens a page in a real browser without a window."""
    if BROWSER is None:
        pytest.skip("no Chromium on the path")

    def open_page(page: Path, fragment: str = "", *flags: str) -> Seen:
        fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
        fixed += ["--allow-file-access-from-files", "--virtual-time-budget=5000", "--enable-logging=stderr"]
        fixed.append(f"--user-data-dir={tmp_path / 'profile'}")
        address = page.as_uri() + (f"#{fragment}" if fragment else "")
        done = subprocess.run(
            [str(BROWSER), *fixed, *flags, address], capture_output=True, text=True, timeout=90, check=True
        )
        return Seen(done.stdout, done.stderr)

    return open_page
