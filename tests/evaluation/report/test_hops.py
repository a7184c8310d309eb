"""Portability by hop: a table where any run has it, with what was known beside what was asked."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.hops import hop_tables, portability
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.report.tables import write_tables


def with_hops(run: Run, *, known: bool = True) -> Run:
    """The run with a hop for each of eight edits and a second one for four; two premises were known."""
    results = []
    for number, one in enumerate(run.results):
        hop = replace(one.probes[0], kind="portability", relation="1-hop", item="1")
        second = replace(hop, relation="2-hop", item="2", known=number < 2 if known else None)
        results.append(replace(one, probes=(*one.probes, hop, *((second,) if number < 4 else ()))))
    return replace(run, results=results)


def test_a_table_for_each_protocol_has_all_hops_with_intervals(make_runs: Any) -> None:
    unedited, good, poor = make_runs()["vqa"]
    legacy, wild = hop_tables("vqa", [unedited, with_hops(good), with_hops(poor)])
    assert [table.title for table in (legacy, wild)] == [
        f"Visual questions, {name} protocol: portability by hop" for name in ("legacy", "wild")
    ]
    assert legacy.header == ("method", "1 hop", "2 hops", "2 hops known")
    assert [row[0] for row in legacy.rows] == ["good", "poor"]
    assert all(re.fullmatch(r"100\.0 \[\d+\.\d, 100\.0\]", cell) for cell in legacy.rows[0][1:])
    assert legacy.note == (
        "In percent, with 95% intervals: token accuracy. Edits that have it: 1 hop: 8, 2 hops: 4, "
        "2 hops known: 2."
    )


def test_without_premises_nothing_is_said_of_what_was_known(make_runs: Any) -> None:
    runs = [with_hops(run, known=False) for run in make_runs()["vqa"]]
    assert hop_tables("vqa", runs)[0].header == ("method", "1 hop", "2 hops")


def test_without_portability_there_is_neither_table_nor_section(make_runs: Any) -> None:
    runs = make_runs()["vqa"]
    assert hop_tables("vqa", runs) == []
    assert portability(make_board("vqa", runs)) == ""


def test_page_and_files_have_the_tables(make_runs: Any, tmp_path: Path) -> None:
    runs = {"vqa": [with_hops(run) for run in make_runs()["vqa"]]}
    page = render(runs).decode()  # type: ignore[arg-type]
    assert "<h3>Portability by hop</h3>" in page
    assert page.index("Wild protocol: portability by hop") < page.index("Legacy protocol: portability by hop")
    assert 'data-label="2 hops known"' in page
    write_tables(runs, tmp_path)  # type: ignore[arg-type]
    for name in ("tables.md", "tables.tex"):
        assert "portability by hop" in (tmp_path / name).read_text()
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert any(
        line.startswith("vqa,good,legacy,portability,2-hop known,token_accuracy,all,1.0") for line in lines
    )
