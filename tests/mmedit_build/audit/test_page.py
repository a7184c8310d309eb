"""The page stands alone, shows what was found, and lets no text of a dataset become markup."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.audit.cards import PER_FINDING, WITHOUT_FAULT, choose
from mmedit_build.audit.dataset import Pictures, Target
from mmedit_build.audit.page import render
from mmedit_build.audit.report import audit_target
from mmedit_build.rows import EditRow
from mmedit_build.thumbnails import PICTURE
from tests.mmedit_build.audit.conftest import item
from tests.pages import Reader

ATTACK = '</dd><script>alert(1)</script><img src=x onerror="alert(2)">&lt;b&gt;'
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _encoded(size: tuple[int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, kind)
    return file.getvalue()


def _page(*edits: EditRow, pictures: dict[str, Pictures] | None = None, name: str = "by hand") -> bytes:
    target = Target(name, edits, embedded=lambda ids: {one: (pictures or {})[one] for one in ids if pictures})
    return render(target, audit_target(target))


def _hostile(make_clean: Any) -> EditRow:
    hostile = item(ATTACK, ATTACK, image=ATTACK)
    texts = ("question", "prediction", "target", "rephrase", "image_id")
    edit: EditRow = make_clean(ATTACK, text=(hostile,), images=(hostile,), **dict.fromkeys(texts, ATTACK))
    return edit


def test_no_text_becomes_markup(make_clean: Any) -> None:
    reader = Reader(_page(_hostile(make_clean), name=ATTACK))
    assert reader.named("script") == []
    assert reader.named("img") == []
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    assert sum(ATTACK in text for text in reader.texts) >= 7


def test_nothing_is_loaded_from_elsewhere(make_clean: Any) -> None:
    page = _page(make_clean(), pictures={"one": Pictures(_encoded((64, 64)), _encoded((64, 64)))})
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    sources = [attributes["src"] or "" for attributes in reader.named("img")]
    assert len(sources) == 2
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(rb"https?://|url\(|@import", page)
    [policy] = [one for one in reader.named("meta") if "http-equiv" in one]
    assert (policy["content"] or "").startswith("default-src 'none'; img-src data:")


def test_numbers_bars_and_definitions_are_there(make_clean: Any) -> None:
    page = _page(make_clean(rephrase='"Quoted?"'), make_clean("two"), make_clean("three"))
    text = page.decode()
    assert "<b>33.3%</b> <span>1 of 3</span>" in text
    assert 'style="width:33.33%"' in text
    assert "The rephrase stands in quotation marks." in text
    assert "It has what must not happen: quoted rephrases." in text
    assert "Nothing was found that must not happen." in _page(make_clean()).decode()


def test_the_faulty_line_of_a_card_is_marked(make_clean: Any) -> None:
    text = _page(make_clean(rephrase='"Quoted?"', prediction="The two cats")).decode()
    assert '<dt>Rephrase</dt><dd class="never">&quot;Quoted?&quot;</dd>' in text
    assert '<dt>Prediction</dt><dd class="fault">The two cats</dd>' in text
    assert '<dt>Target</dt><dd class="">two cats</dd>' in text
    assert '<li class="never">Quoted rephrases</li>' in text


def test_of_several_items_none_is_marked_by_guess(make_clean: Any) -> None:
    weak = item("Weak?", "a", image="7", answers=tuple("aaaabbbcde"))
    strong = item("Strong?", "a", image="8", answers=tuple("aaaaaaaaaa"))
    assert '<dd class="fault">Weak? <b>a</b></dd>' in _page(make_clean(images=(weak,))).decode()
    both = _page(make_clean(images=(weak, strong))).decode()
    assert '<li class="fault">Weak consensus in locality</li>' in both
    assert '<dd class="">Weak? <b>a</b></dd>' in both


def test_what_is_empty_is_said_to_be_empty(make_clean: Any) -> None:
    text = _page(make_clean(prediction=" ", text=())).decode()
    assert '<dt>Prediction</dt><dd class="void">empty</dd>' in text
    assert "<dt>Text locality</dt>" not in text


def test_pictures_are_small_and_missing_ones_leave_a_place(make_clean: Any) -> None:
    large = _encoded((900, 600), "JPEG")
    reader = Reader(_page(make_clean(), pictures={"one": Pictures(large, b"no image")}))
    [image] = reader.named("img")
    kind, _, content = (image["src"] or "").partition(";base64,")
    shown = Image.open(io.BytesIO(base64.b64decode(content)))
    assert kind == "data:image/jpeg"
    assert shown.size == (PICTURE, PICTURE * 2 // 3)
    assert "no image" in reader.texts


def test_a_few_rows_of_each_fault_are_chosen_and_some_without(make_clean: Any) -> None:
    quoted = [make_clean(f"quoted {number}", rephrase='"Q?"') for number in range(9)]
    empty = [make_clean(f"empty {number}", prediction="") for number in range(9)]
    clean = [make_clean(f"clean {number}") for number in range(60)]
    edits = [*quoted, *empty, *clean]
    marks = choose(audit_target(Target("mixed", edits)))
    faulty = {edits[place].id: [one.name for one in found] for place, found in marks.items() if found}
    assert faulty == {
        "quoted 0": ["quoted_rephrases"],
        "quoted 1": ["quoted_rephrases"],
        "empty 0": ["incomplete_rows"],
        "empty 1": ["incomplete_rows"],
    }
    assert PER_FINDING == 2
    fine = [edits[place].id for place, found in marks.items() if not found]
    assert len(fine) == WITHOUT_FAULT
    assert fine[-1] == "clean 55"


def test_half_of_a_surrogate_pair_does_not_break_the_page(make_clean: Any) -> None:
    assert b"&#55296;" in _page(make_clean(question="a\ud800b"))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")
def test_a_browser_runs_nothing_and_fits_the_page_to_a_phone(tmp_path: Path, make_clean: Any) -> None:
    long = make_clean("long", target="w" * 400, rephrase='"Q?"')
    pictures = {one: Pictures(_encoded((640, 480), "JPEG"), _encoded((512, 512))) for one in ("long", ATTACK)}
    page = _page(long, _hostile(make_clean), pictures=pictures, name="folder/" + "n" * 200)
    (tmp_path / "page.html").write_bytes(page)
    # A frame is as wide as a phone, which the smallest window of a browser may not be.
    probe = """<iframe src="page.html" width="390" height="800"></iframe><script>onload = () => {
      const page = document.querySelector("iframe").contentDocument;
      const broken = [...page.images].filter((image) => !image.naturalWidth).length;
      document.title = [page.documentElement.scrollWidth, page.images.length, broken,
        page.querySelectorAll("script").length].join(" ");
    }</script>"""
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
    flags += ["--allow-file-access-from-files", "--virtual-time-budget=5000"]
    flags.append(f"--user-data-dir={tmp_path / 'profile'}")
    command = [str(BROWSER), *flags, (tmp_path / "probe.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    title = re.search(r"<title>([\d ]+)</title>", shown)
    assert title is not None
    assert title[1] == "390 4 0 0"
