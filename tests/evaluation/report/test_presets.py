"""Streams of publications in reports: under their names, with the papers, apart from our own."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.page import render
from evaluation.report.preset_tables import preset_tables
from evaluation.report.stream_tables import StreamRun, find_streams, stream_tables
from evaluation.report.tables import write_tables
from evaluation.results.presets import PRESETS, PresetName
from evaluation.results.streams import Placed, StreamFolder
from mmedit_build.rows import Split
from tests.evaluation.results.test_stream_summary import checkpoint, kept, placed
from tests.pages import Reader

Streams = dict[Any, list[StreamRun]]


@pytest.fixture
def runs(make_runs: Any) -> Any:
    return make_runs(protocols=("legacy",))


def written(folder: Path, run: Any, preset: PresetName | str, edits: int) -> StreamFolder:
    made = StreamFolder(folder / "vqa" / "presets" / preset / run.name)
    made.folder.mkdir(parents=True)
    settings = replace(run.header.settings, stream=edits, preset=preset)
    made.write_header(replace(run.header, settings=settings))
    for position in range(edits):
        made.add_online(placed(0, position, 1.0))
    return made


def asked(position: int, score: float) -> Placed:
    """An edit with the scores of all publications."""
    one = placed(0, position, score)
    probes = (
        replace(probe, scores={"legacy": dict.fromkeys(("exact_match", "token_accuracy"), value)})
        for probe in one.result.probes
        for value in probe.scores["legacy"].values()
    )
    return replace(one, result=replace(one.result, probes=tuple(probes)))


@pytest.fixture
def streams(runs: Any, tmp_path: Path) -> Streams:
    """Eleven edits of a method, as in each publication."""
    _, run, *_ = runs["vqa"]
    gaps = written(tmp_path, run, "vlkeb-gap", 11)
    for made in range(1, 12):
        now = tuple(asked(made - 1 - gap, float(gap == 0)) for gap in (10, 0) if made > gap)
        gaps.add_checkpoint(replace(checkpoint(0, made, []), retention=now))
    groups = written(tmp_path, run, "liveedit", 11)
    for order, size in enumerate((*[1] * 11, 10, 1, 11)):
        now = tuple(asked(position, float(order < 11)) for position in range(size))
        groups.add_checkpoint(replace(checkpoint(order, size, []), retention=now))
    rates = written(tmp_path, run, "t-patcher", 11)
    kept_of: dict[Split, bool] = {"train": True, "test": False}
    left = [replace(kept("a", 1.0, knew=True, knows=of), split=split) for split, of in kept_of.items()]
    rates.add_checkpoint(checkpoint(0, 11, [0.0] * 11, *left))
    return find_streams([tmp_path])


def test_each_publication_has_a_table_with_its_paper_and_its_rates(streams: Streams) -> None:
    gaps, groups, rates = preset_tables(streams)
    assert gaps.title == "Visual questions, VLKEB's sequential editing (preset vlkeb-gap), legacy protocol"
    assert "arXiv:2403.07350" in gaps.note
    assert gaps.header == ("method", "gap", "tests", "Rel", "T-Gen", "I-Gen", "T-Loc", "I-Loc", "Port")
    assert [row[1:3] for row in gaps.rows] == [("0 (ours)", "11"), ("10", "1")]
    assert [row[3].partition(" ")[0] for row in gaps.rows] == ["100.0", "0.0"]
    assert [row[1:3] for row in groups.rows] == [
        ("1", "11"),
        ("10", "11, of which the last 1 alone"),
        ("11", "11"),
    ]
    assert "T-Loc, M-Loc: top-1 of the answer. In percent" in groups.note
    [row] = rates.rows
    assert rates.header[3:] == ("SR", "GR", "ER", "TrainR", "TestR")
    means = ["100.0", "50.0", "0.0", "100.0", "0.0"]
    assert [cell.partition(" ")[0] for cell in row[1:]] == ["11", "11", *means]
    assert stream_tables(streams) == []


def test_they_are_in_every_file_and_on_the_page(runs: Any, streams: Streams, tmp_path: Path) -> None:
    paths = {path.name: path for path in write_tables(runs, tmp_path / "report", streams)}
    page = render(runs, streams=streams).decode()
    Reader(page.encode())
    for preset, about in PRESETS.items():
        for text in (paths["tables.md"].read_text(), page):
            assert f"(preset {preset}), legacy protocol" in text
            assert about.about[:30] in text.replace("&#x27;", "'").replace("&#39;", "'")
    rows = list(csv.DictReader(paths["presets.csv"].open()))
    assert {row["preset"] for row in rows} == {*PRESETS}
    (one,) = [row for row in rows if row["measure"] == "TestR"]
    assert (one["row"], float(one["mean"]), one["number"]) == ("11", 0.0, "1")
    assert "streams.csv" not in paths
