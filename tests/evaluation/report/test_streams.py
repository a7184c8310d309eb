"""Streams in reports: found beside other results, in tables, and drawn."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.report.page import render
from evaluation.report.stream_tables import StreamRun, find_streams, stream_tables
from evaluation.report.tables import write_tables
from evaluation.results.streams import StreamFolder
from tests.evaluation.results.test_stream_summary import checkpoint, kept, placed
from tests.pages import Reader


@pytest.fixture
def runs(make_runs: Any) -> Any:
    return make_runs(protocols=("legacy",))


@pytest.fixture
def streams(runs: Any, tmp_path: Path) -> dict[Any, list[StreamRun]]:
    """Two methods' streams, written and found again."""
    for run in runs["vqa"][1:]:
        folder = StreamFolder(tmp_path / "vqa" / "streams" / run.name)
        folder.folder.mkdir(parents=True)
        folder.write_header(replace(run.header, settings=replace(run.header.settings, stream=3)))
        good = float(run.name == "good")
        for order in (0, 1):
            for position in range(3):
                folder.add_online(placed(order, position, 1.0))
            for edits in (1, 3):
                fixed = kept("a", good, knew=True, knows=bool(good))
                folder.add_checkpoint(checkpoint(order, edits, [good] * edits, fixed))
    return find_streams([tmp_path, tmp_path / "vqa"])


def test_streams_are_found_once_and_have_a_row_for_each_number(streams: dict[Any, list[StreamRun]]) -> None:
    (table,) = stream_tables(streams)
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [(row["method"], row["edits"], row["orders"]) for row in rows] == [
        *(("good", number, "2") for number in "13"),
        *(("poor", number, "2") for number in "13"),
    ]
    assert [row["Lost old"] for row in rows] == ["0.0", "0.0", "100.0", "100.0"]
    assert rows[0]["Kept"].startswith("100.0 [")
    assert rows[0]["Kept"].endswith(", 100]")
    assert {row["slower"] for row in rows} == {"2.0"}
    assert {row["T-Loc"] for row in rows} == {"-"}


def test_they_are_in_every_file(runs: Any, streams: dict[Any, list[StreamRun]], tmp_path: Path) -> None:
    paths = {path.name: path for path in write_tables(runs, tmp_path / "report", streams)}
    assert "edits one after the other, legacy protocol" in paths["tables.md"].read_text()
    assert "edits one after the other, legacy protocol" in paths["tables.tex"].read_text()
    rows = list(csv.DictReader(paths["streams.csv"].open()))
    (one,) = [
        row
        for row in rows
        if (row["method"], row["edits"], row["measure"]) == ("poor", "3", "Forgotten, oldest third")
    ]
    assert float(one["mean"]) == 1.0
    assert "streams.csv" not in {path.name for path in write_tables(runs, tmp_path / "without")}


def test_a_page_draws_them(runs: Any, streams: dict[Any, list[StreamRun]]) -> None:
    page = render(runs, streams=streams).decode()
    Reader(page.encode())
    assert "Edits one after the other" in page
    assert "poor, Success of earlier edits: 0.0 (95% interval" in page
    assert "Edits one after the other" not in render(runs).decode()


def test_a_folder_of_streams_alone_has_a_report(streams: dict[Any, list[StreamRun]], tmp_path: Path) -> None:
    assert streams
    found = CliRunner().invoke(app, ["report", str(tmp_path / "vqa")], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    page = (tmp_path / "vqa" / "report.html").read_text()
    Reader(page.encode())
    assert "edited with good, poor." in page
    assert "poor, Success of earlier edits: 0.0 (95% interval" in page
    assert "2 runs with their settings" in page
    assert "Edits to look at" not in page
    assert {path.name for path in (tmp_path / "vqa").glob("*.csv")} == {"streams.csv"}
    refused = CliRunner().invoke(
        app, ["export", str(tmp_path / "vqa"), "--out", str(tmp_path / "flat.parquet")]
    )
    assert "There are no results of single edits or several at once in" in " ".join(
        str(refused.exception).split()
    )


def test_beside_the_unedited_model_alone_streams_come_first(
    runs: Any, streams: dict[Any, list[StreamRun]]
) -> None:
    page = render({"vqa": runs["vqa"][:1]}, streams=streams).decode()
    assert page.index("Edits one after the other") < page.index("The unedited model")
    assert "edited with good, poor." in page
    assert "Reliability against locality" not in page
    assert "Edits to look at" not in page


def test_what_is_not_finished_or_has_no_scores_is_said(
    runs: Any, streams: dict[Any, list[StreamRun]]
) -> None:
    (first, second) = streams["vqa"]
    stream = replace(first.stream, checkpoints=[replace(first.stream.checkpoints[0], skipped="too long")])
    run = replace(second.run, header=replace(second.run.header, finished=False))
    page = render(runs, streams={"vqa": [replace(first, stream=stream), replace(second, run=run)]}).decode()
    assert "no scores of the fixed set at some numbers: too long" in page
    assert "The streams of poor are not finished." in page
