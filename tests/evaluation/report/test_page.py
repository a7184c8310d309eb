"""The report's page stands alone, becomes nobody's markup, and its filters work in a real browser."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from evaluation.data.dataset import digest, load_cases
from evaluation.report.page import render, write_page
from tests.pages import Reader

ATTACK = '</dd><script>alert(1)</script><img src=x onerror="alert(2)">\' --x: &lt;b&gt;'
PROBE = """<iframe src="report.html" width="390" height="800"></iframe><script>onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument, told = {};
  const shown = () => [...page.querySelectorAll("article")].filter((one) => one.checkVisibility()).length;
  const form = page.getElementById("filters");
  const choose = (name, value) => {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = value; else field.value = value;
    field.dispatchEvent(new Event("input", {bubbles: true}));
  };
  told.closed = [...page.querySelectorAll("article details")].every((one) => !one.open);
  for (const one of page.querySelectorAll("details")) one.open = true;
  for (const one of page.querySelectorAll("article")) one.style.contentVisibility = "visible";
  told.width = page.documentElement.scrollWidth;
  told.images = page.images.length;
  told.broken = [...page.images].filter((one) => !one.naturalWidth).length;
  told.reached = [...form.elements].filter((one) => !one.disabled).every((one) => {
    one.focus(); return page.activeElement === one && one.labels.length === 1;
  });
  told.all = shown();
  choose("method", "poor"); choose("failures", true); told.failures = shown();
  choose("probe", "text_locality"); choose("probe", "");
  told.address = frame.contentWindow.location.hash;
  choose("type", "color"); told.type = shown();
  choose("text", "NOWHERE"); told.text = shown();
  told.count = page.getElementById("count").textContent;
  document.title = JSON.stringify(told);
}</script>"""


def pictured(dataset: Path) -> dict[str, Any]:
    found = load_cases(str(dataset), "vqa")
    settings = {"dataset": str(dataset), "dataset_digest": digest(found)}
    return {"ids": tuple(case.id for case in found), "settings": settings}


def test_no_text_becomes_markup(make_runs: Any) -> None:
    page = render(make_runs(words=ATTACK, tasks=("vqa", "caption"), skips=("made-up/1",)))
    reader = Reader(page)
    assert len(reader.named("script")) == 1
    assert reader.named("img") == []
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    assert sum(ATTACK in text for text in reader.texts) > 100
    assert not any(ATTACK in (attributes.get("style") or "") for _, attributes in reader.tags)


def test_nothing_is_loaded_from_elsewhere(make_runs: Any, dataset: Path) -> None:
    page = render(make_runs(**pictured(dataset)))
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags}.isdisjoint({"link", "iframe", "object", "base"})
    assert {(attributes["src"] or "")[:11] for attributes in reader.named("img")} == {"data:image/"}
    assert not re.search(rb"https?://|url\(|@import", page)
    [policy] = [one["content"] or "" for one in reader.named("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "script-src 'sha256-" in policy


def test_without_scripts_it_is_a_plain_list(make_runs: Any) -> None:
    reader = Reader(render(make_runs()))
    assert "hidden" in reader.named("form")[0]
    articles = reader.named("article")
    assert len(articles) == 8
    assert not any("hidden" in one for one in articles)
    assert sum("open" in one for one in reader.named("details")) == 8 + 1


def test_everything_that_a_report_needs_is_there(make_runs: Any) -> None:
    text = unescape(render(make_runs(tasks=("vqa", "caption"), skips=("made-up/1",))).decode())
    for heading in (
        "Visual questions",
        "Captions",
        "Reliability against locality",
        "Every measure",
        "The shape of each method",
        "Legacy against wild",
        "KL divergence, edit by edit",
        "By type of question",
        "What it took",
        "Skipped edits",
        "Edits to look at",
        "What was run",
    ):
        assert f">{heading}</h" in text
    assert "The pictures are not at hand" in text


def test_without_free_answers_the_page_says_what_signs_mean(make_runs: Any) -> None:
    text = render(make_runs(protocols=("legacy",))).decode()
    assert "Signs tell whether the scores are at least 50." in text
    assert "free answers passed" not in text
    assert "KL divergence" not in text


def test_it_is_written_where_it_shall_lie(make_runs: Any, tmp_path: Path) -> None:
    path = write_page(make_runs(), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "report.html"
    assert path.read_bytes().startswith(b"<!doctype html>")


def test_the_same_results_make_the_same_page(make_runs: Any) -> None:
    assert render(make_runs()) == render(make_runs())


def test_one_run_of_nothing_but_skipped_edits_makes_a_page(make_runs: Any) -> None:
    runs = make_runs(skills={"good": 1.0}, ids=("a", "b"), skips=("a", "b"))
    assert b"skipped: Made-up reason." in render(runs)
    assert b"Evaluation of edits" in render(make_runs(ids=()))


def test_a_large_report_stays_small(make_runs: Any) -> None:
    ids = tuple(f"made-up/{number}" for number in range(130))
    skills = {"unedited": 0.0, **{f"method-{number}": number / 8 for number in range(8)}}
    page = render(make_runs(ids=ids, skills=skills, protocols=("wild",)))
    assert len(page) < 5_000_000
    assert "120 of 130 edits, evenly spaced." in page.decode()


def test_a_browser_shows_it_on_a_phone_and_its_filters_work(
    make_runs: Any, dataset: Path, browse: Any, tmp_path: Path
) -> None:
    write_page(make_runs(**pictured(dataset)), tmp_path)
    # A frame is as wide as a phone, which the smallest window of a browser may not be.
    (tmp_path / "probe.html").write_text(PROBE, encoding="utf-8")
    seen = browse(tmp_path / "probe.html")
    told = re.search(r"<title>(.*?)</title>", seen.dom)
    assert told is not None
    assert json.loads(unescape(told[1])) == {
        "closed": True,
        "width": 390,
        "images": 12,
        "broken": 0,
        "reached": True,
        "all": 4,
        "failures": 3,
        "address": "#method=poor&failures=1",
        "type": 2,
        "text": 0,
        "count": "0 of 4 edits",
    }
    assert "CONSOLE" not in seen.log


@pytest.mark.parametrize(
    ("fragment", "cards", "rows"),
    [
        ("method=poor&failures=1", 6, 6),
        ("method=good&failures=1", 0, 0),
        ("failures=1&probe=image_locality&type=count", 3, 3),
        ("method=good&text=made-up/5", 1, 1),
        ("method=nobody&task=vqa", 8, 16),
        ("vqa", 8, 16),
    ],
)
def test_an_address_chooses_what_is_shown(
    fragment: str, cards: int, rows: int, make_runs: Any, browse: Any, tmp_path: Path
) -> None:
    seen = browse(write_page(make_runs(), tmp_path), fragment)
    shown = re.findall(r"<article(?![^>]*hidden).*?</article>", seen.dom, re.DOTALL)
    assert len(shown) == cards
    assert len(re.findall(r'<tr data-method="\w+" data-failed="[^"]*">', "".join(shown))) == rows
    assert "CONSOLE" not in seen.log


def test_a_browser_runs_no_script_of_others_and_fits_long_words_to_a_phone(
    make_runs: Any, browse: Any, tmp_path: Path
) -> None:
    write_page(make_runs(words=ATTACK + "w" * 300, skips=("made-up/1",)), tmp_path)
    probe = PROBE[: PROBE.index("  told.images")] + "  document.title = JSON.stringify(told);\n}</script>"
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")
    seen = browse(tmp_path / "probe.html")
    told = re.search(r"<title>(.*?)</title>", seen.dom)
    assert told is not None
    assert json.loads(unescape(told[1])) == {"closed": True, "width": 390}
    assert "CONSOLE" not in seen.log
