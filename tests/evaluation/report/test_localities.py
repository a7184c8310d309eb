"""Locality by kind and by distance: tables where runs have several kinds, plots where cosines are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.distances import distance_tables, distances
from evaluation.report.localities import localities, locality_tables
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.report.tables import write_tables


def with_near(run: Run) -> Run:
    """The run with items without image, near and wrong of all eight edits, and with cosines."""
    results = []
    for number, one in enumerate(run.results):
        own, *_, fact, far, near = one.probes
        cosine = number / 10
        results.append(
            replace(
                one,
                probes=(
                    *(own, fact),
                    replace(far, text_cosine=-cosine, image_cosine=cosine),
                    replace(near, text_cosine=cosine, image_cosine=1.0),
                    replace(fact, relation="no_image", item="1/no_image"),
                    replace(own, kind="gain", relation="near_wrong", item="w1"),
                    replace(own, kind="gain", relation="far_wrong", item="w2"),
                ),
            )
        )
    return replace(run, results=results)


def test_each_kind_has_a_column_with_intervals(make_runs: Any) -> None:
    runs = [with_near(run) for run in make_runs()["vqa"]]
    tables = locality_tables("vqa", runs)
    assert [table.title for table in tables] == [
        f"Visual questions, {protocol} protocol: {title}"
        for protocol in ("legacy", "wild")
        for title in ("locality by kind", "gain")
    ]
    kept, gained = tables[:2]
    assert kept.header == (
        "method",
        "other fact",
        "its question, no image",
        "other question, its image",
        "other source",
    )
    assert [row[0] for row in kept.rows] == ["unedited", "good", "poor"]
    poor = kept.rows[2]
    assert poor[1:] == ("25.0 [4.4, 70.4]",) * 4 or all(cell.startswith("25.0 [") for cell in poor[1:])
    assert "top-1, top-10" in kept.note
    assert gained.header == ("method", "similar question and image", "unlike both")
    assert gained.rows[0][1].startswith("0.0 [")
    assert "token accuracy" in gained.note
    assert gained.note.endswith("Edits that have it: similar question and image 8, unlike both 8.")


def test_cosines_make_bins(make_runs: Any) -> None:
    runs = [with_near(run) for run in make_runs()["vqa"]]
    questions, images = distance_tables("vqa", runs)[:2]
    # Questions: 16 cosines from -0.7 to 0.7, two of them 0. Images: half are the edit's own.
    assert questions.header == (
        *("method", "0.40 to 0.70", "0.00 to 0.30", "-0.30 to -0.10", "-0.70 to -0.40"),
    )
    assert images.header == (
        *("method", "same", "0.60 to 0.70", "0.40 to 0.50", "0.20 to 0.30", "0.00 to 0.10"),
    )
    # The poor method keeps what it is asked of the first two edits, whose images have 0.0 and 0.1.
    assert [cell.split()[0] for cell in images.rows[2][1:]] == ["25.0", "0.0", "0.0", "0.0", "100.0"]
    assert questions.title == "Visual questions, legacy protocol: image locality by distance of the question"
    assert questions.note.endswith("0.00 to 0.30: 5, -0.30 to -0.10: 3, -0.70 to -0.40: 4.")


def test_without_near_items_there_is_nothing_of_it(make_runs: Any) -> None:
    plain = make_runs()["vqa"]
    assert distance_tables("vqa", plain) == []
    assert distances(make_board("vqa", plain)) == ""
    far = [
        replace(run, results=[replace(one, probes=one.probes[:1]) for one in run.results]) for run in plain
    ]
    assert locality_tables("vqa", far) == []
    assert localities(make_board("vqa", far)) == ""


def test_page_and_files_have_them(make_runs: Any, tmp_path: Path) -> None:
    runs = {"vqa": [with_near(run) for run in make_runs()["vqa"]]}
    page = render(runs).decode()  # type: ignore[arg-type]
    assert "<h3>Locality by kind</h3>" in page
    assert "<h3>Locality by distance</h3>" in page
    assert 'aria-label="By image, wild (unchanged)"' in page
    write_tables(runs, tmp_path)  # type: ignore[arg-type]
    for name in ("tables.md", "tables.tex"):
        text = (tmp_path / name).read_text()
        assert "locality by kind" in text
        assert "image locality by distance of the question" in text
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert any(line.startswith("vqa,good,wild,gain,near_wrong,match,all,1.0") for line in lines)
