"""What judges said in tables, counted by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.judged import CSV_COLUMNS, csv_rows, judged_tables
from evaluation.report.numbers import as_csv
from evaluation.report.page import render
from evaluation.report.runs import find_runs
from evaluation.report.screen import judged
from evaluation.report.tables import markdown, write_tables
from evaluation.results.intervals import wilson
from evaluation.results.verdicts import Verdict, verdict_lines
from tests.evaluation.judged import TARGET, Row, write_run

EDITS: list[list[Row]] = [
    [("reliability", "a?", "red"), ("text_generality", "b?", "red"), ("image_locality", "l?", "red")],
    [("reliability", "a?", "a red one"), ("text_generality", "b?", "green")],
    [("reliability", "a?", "blue"), ("text_generality", "b?", "reddish")],
    [("reliability", "a?", "red"), ("portability", "c?", "rose")],
]
RIGHT: dict[tuple[str, str], bool | None] = {
    ("a?", "red"): True,
    ("b?", "red"): False,
    ("a?", "a red one"): True,
    ("b?", "green"): False,
    ("a?", "blue"): False,
    ("b?", "reddish"): None,
    # Of c?, nothing was heard.
}


def say(folder: Path, right: Mapping[tuple[str, str], bool | None], judge: str = "sage") -> None:
    for (question, answer), verdict in right.items():
        verdict_lines(folder).add(
            Verdict(
                judge=judge,
                prompt="grade#1",
                question=question,
                target=TARGET,
                answer=answer,
                raw="...",
                right=verdict,
            )
        )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    say(write_run(tmp_path, "ft", EDITS), RIGHT)
    write_run(tmp_path, "ike", EDITS)
    return tmp_path


def test_verdicts_are_scores_of_their_own_beside_how_far_matching_agrees(out: Path) -> None:
    runs = find_runs([out])["vqa"]
    (table,) = judged_tables("vqa", runs)
    assert table.title == "Visual questions, wild protocol, judged by sage"
    assert "(prompt grade#1)" in table.note
    (row,) = table.rows
    cells = dict(zip(table.header, row, strict=True))
    # Reliability: right, right, wrong and right, of two images; T-Gen: wrong and wrong, of one.
    low, high = (100 * one for one in wilson(*_arrays([2, 1], [2, 2])))
    assert cells["Rel"] == f"75.0 [{low:.1f}, {high:.1f}]"
    assert cells["T-Gen"].startswith("0.0 [")
    assert "Port" not in cells
    # Six pairs (match, judge) of four edits: (1, 1), (1, 0); (0, 1), (0, 0); (0, 0); (1, 1).
    # Edits agree by 1/2, 1/2, 1 and 1. Four of six agree; yes is 3 of 6 on either side, so chance brings 1/2.
    assert cells["agreement"].startswith("75.0 [")
    assert cells["kappa"] == "0.33"
    assert (cells["judged"], cells["missing"]) == ("6", "2")


def _arrays(sums: list[float], counts: list[float]) -> Any:
    import numpy as np

    return np.array(sums, float), np.array(counts, float)


def test_they_stand_in_every_form_of_the_report(out: Path) -> None:
    runs = find_runs([out])
    assert "judged by sage" in markdown(runs)
    page = render(runs).decode()
    assert "Judged by a language model" in page
    assert "right (prompt grade#1), in percent" in page
    assert len(judged(runs)) == 1
    assert out / "judged.csv" in write_tables(runs, out)
    rows = list(csv.DictReader(io.StringIO(as_csv(CSV_COLUMNS, csv_rows(runs)))))
    assert [(row["method"], row["column"], float(row["mean"])) for row in rows] == [
        ("ft", "Rel", 0.75),
        ("ft", "T-Gen", 0.0),
        ("ft", "agreement", 0.75),
    ]
    assert rows[0]["judge"] == "sage"
    assert (rows[0]["edits"], rows[0]["images"]) == ("4", "2")


def test_the_match_is_what_it_was(out: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("unjudged")
    write_run(other, "ft", EDITS)
    write_run(other, "ike", EDITS)
    write_tables(find_runs([out]), out)
    write_tables(find_runs([other]), other)
    assert (out / "scores.csv").read_bytes() == (other / "scores.csv").read_bytes()
    assert not (other / "judged.csv").exists()
    assert "Judged" not in render(find_runs([other])).decode()


def test_each_judge_has_a_table(out: Path) -> None:
    say(out / "vqa" / "ike", RIGHT, "fool")
    tables = judged_tables("vqa", find_runs([out])["vqa"])
    assert [(table.title.split()[-1], [row[0] for row in table.rows]) for table in tables] == [
        ("sage", ["ft"]),
        ("fool", ["ike"]),
    ]


def test_a_run_that_is_found_twice_has_the_verdicts_of_both_places(out: Path) -> None:
    first, second = dict(list(RIGHT.items())[:2]), dict(list(RIGHT.items())[2:])
    say(write_run(out / "copy", "ft", EDITS), second)
    (out / "vqa" / "ft" / "verdicts.jsonl").unlink()
    say(out / "vqa" / "ft", first)
    (table,) = judged_tables("vqa", find_runs([out])["vqa"])
    assert table.rows[0][-2:] == ("6", "2")


def test_markup_of_a_judge_or_an_answer_stays_text(out: Path) -> None:
    say(write_run(out, "rome", EDITS), RIGHT, "<script>alert(1)</script>")
    assert "<script>alert" not in render(find_runs([out])).decode()
