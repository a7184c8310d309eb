"""Figures are saved as SVG and PDF, which other programs read: in colors of paper, with the same marks."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from evaluation.report.page import write_page
from tests.evaluation.report.test_crowds import runs_of

SKILLS = {"unedited": 0.0, "ft": 0.5, "mend": 1.0, "ike (mine) \\ 1": 0.75}
TITLE = "Reliability against locality"


@pytest.fixture
def page(make_runs: Any, look: Any, tmp_path: Path) -> Any:
    report = write_page({"vqa": runs_of(make_runs, SKILLS)}, tmp_path)
    return look(report, color_scheme="dark", accept_downloads=True)


def save(page: Any, title: str, kind: str, panel: int | None, folder: Path) -> Path:
    figure = page.locator("figure.plot").filter(has=page.get_by_role("heading", name=title, exact=True))
    if panel is not None:
        figure.locator(".save select").select_option(str(panel))
    with page.expect_download() as begun:
        figure.get_by_role("button", name=kind).click()
    path = folder / str(begun.value.suggested_filename)
    begun.value.save_as(path)
    return path


def test_an_svg_has_the_whole_figure_in_the_colors_of_paper(page: Any, tmp_path: Path) -> None:
    path = save(page, TITLE, "SVG", None, tmp_path)
    assert path.name == "vqa-reliability-against-locality.svg"
    drawn = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = [one.text for one in drawn.iter(f"{space}text")]
    assert texts.count("mend") == texts.count("ike (mine) \\ 1") == 6
    assert {one.get("fill") for one in drawn.iter(f"{space}text") if one.text == "mend"} == {"rgb(31,35,40)"}
    assert not re.search(r"var\(|class=|NaN|undefined", path.read_text())
    places = [float(one.get("x", 0)) for one in drawn.iter(f"{space}text")]
    assert max(places) < float(drawn.get("width", 0)) == 3 * 340 + 2 * 26 + 20


def test_a_pdf_has_one_panel_and_is_sound(page: Any, tmp_path: Path) -> None:
    path = save(page, TITLE, "PDF", 1, tmp_path)
    assert path.name == "vqa-reliability-against-locality-2.pdf"
    content = path.read_bytes()
    objects = check(content)
    assert len(objects) == 6
    [stream] = re.findall(rb"stream\n(.*)\nendstream", content, re.DOTALL)
    drawn = zlib.decompress(stream).decode("latin-1")
    assert drawn.count("q\n") == drawn.count("\nQ")
    assert "(mend) Tj" in drawn
    assert r"(ike \(mine\) \\ 1) Tj" in drawn
    box = re.search(rb"MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert box is not None
    assert [float(one) for one in box.groups()] == [0.75 * (340 + 20), 0.75 * (268 + 4)]
    assert not re.search(r"NaN|undefined|Infinity", drawn)


def test_another_program_reads_the_pdf(page: Any, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext on the path")
    path = save(page, "KL divergence, edit by edit", "PDF", None, tmp_path)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "Image locality, near" in done.stdout
    assert done.stdout.count("mend") == 3


def test_both_files_have_as_many_shapes(page: Any, tmp_path: Path) -> None:
    svg = save(page, "Every measure", "SVG", 0, tmp_path).read_text()
    content = save(page, "Every measure", "PDF", 0, tmp_path).read_bytes()
    [stream] = re.findall(rb"stream\n(.*)\nendstream", content, re.DOTALL)
    assert svg.count("<rect") == len(re.findall(rb" re f", zlib.decompress(stream))) == 8
    assert svg.count("<text") == len(re.findall(rb"BT 0 Tr", zlib.decompress(stream)))


def check(content: bytes) -> list[bytes]:
    """The objects of a PDF, each where its table of places has it."""
    start = re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)
    assert start is not None
    table = content[int(start[1]) :]
    assert table.startswith(b"xref\n0 ")
    places = [int(one) for one in re.findall(rb"(\d{10}) 00000 n ", table)]
    found = [content[place:] for place in places]
    assert all(one.startswith(b"%d 0 obj\n" % number) for number, one in enumerate(found, start=1))
    return found
