"""Plots have a point for each setting: the mean over its seeds; and panels for each model."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.means import looks_of, mean_board, mean_runs
from evaluation.report.page import render
from evaluation.report.plots import agreements, bars, tradeoffs
from evaluation.report.runs import Called
from evaluation.report.sections import type_tables
from evaluation.report.stream_tables import StreamRun
from evaluation.report.streams import section
from evaluation.results.stored import averaged
from evaluation.results.stream_summary import Stream
from evaluation.results.summary import by_question_type, estimated
from tests.evaluation.report.test_seeds import RELIABILITY, seeded, two_models
from tests.evaluation.results.test_stream_summary import checkpoint, placed


def test_a_setting_has_the_mean_of_its_seeds_in_all_that_is_drawn(make_runs: Any) -> None:
    unedited, good = mean_runs(seeded(make_runs))
    assert (good.name, [one.name for one in good.seeds]) == ("good", [f"good, seed {n}" for n in range(3)])
    assert unedited.name == "unedited"
    found = estimated(good.results, RELIABILITY)
    assert found is not None
    assert (found.mean, found.edits) == (0.75, 8)
    # Of the four edits of a type two, three and four are right.
    by_type = estimated(by_question_type(good.results)["color"], RELIABILITY)
    assert by_type is not None
    assert by_type.mean == 0.75


def test_a_mean_is_of_the_edits_that_all_seeds_have(make_runs: Any) -> None:
    _, first, *others = seeded(make_runs)
    found = averaged([first.results[:4], *(run.results[::-1] for run in others)])
    assert [result.id for result in found.outlines] == [f"made-up/{number}" for number in range(4)]
    told = estimated(found, RELIABILITY)
    assert told is not None
    assert told.mean == 1.0


def test_without_seeds_runs_are_shown_as_they_are(make_runs: Any) -> None:
    runs = make_runs()["vqa"]
    assert mean_runs(runs) == runs
    board = make_board("vqa", runs)
    assert mean_board(board) is board
    assert "small dots" not in tradeoffs(board)


def test_a_scatter_has_a_point_a_setting_and_a_small_dot_a_seed(make_runs: Any) -> None:
    runs = seeded(make_runs)
    plot = tradeoffs(mean_board(make_board("vqa", runs, looks_of({"vqa": runs}))))
    assert plot.count("<svg") == 6
    assert plot.count('class="mark"') == 6 * 2
    assert plot.count('class="seed"') == 6 * 3
    assert "small dots are single seeds" in plot
    assert "good: Reliability 75.0" in plot
    assert "good, seed 0: Reliability 50.0" in plot
    assert not re.search(r">[^<]*seed \d</text>", plot)
    # It leads to the cases of all seeds.
    seeds = "&amp;".join(f"run=good%2C+seed+{number}" for number in range(3))
    assert f'data-cases="{seeds}&amp;measure=wild.text_locality' in plot


def test_each_model_has_panels_of_its_own_with_the_names_of_methods(make_runs: Any) -> None:
    board = mean_board(make_board("vqa", two_models(make_runs)))
    assert board.called["good, other"] == Called("good", "other")
    for plot in (tradeoffs(board), agreements(board)):
        titles = re.findall(r'aria-label="([^"]*)"', plot)
        assert [sum(title.endswith(f", {of}") for title in titles) for of in ("model", "other")] == [6, 6]
        assert {"unedited", "good", "poor"} <= {*re.findall(r'class="name halo"[^>]*>([^<]*)<', plot)}
    drawn = bars(board)
    assert drawn.count(">good</text>") == 6 * 2
    assert drawn.count(">other</text>") == 6 * 3


def test_each_model_has_its_own_types_of_questions(make_runs: Any) -> None:
    drawn = type_tables(mean_board(make_board("vqa", two_models(make_runs))))
    # A caption has the model; columns have the names of methods.
    assert (
        re.findall(r"<caption>(Reliability[^<]*)<", drawn) == ["Reliability, model", "Reliability, other"] * 2
    )
    assert {*re.findall(r'<th scope="col"><span title="([^"]*)"', drawn)} == {"unedited", "good", "poor"}


def test_that_edits_differ_is_said_of_one_model_alone(make_runs: Any) -> None:
    runs = two_models(make_runs)
    fewer = [replace(run, results=run.results[:5]) if "other" in run.name else run for run in runs]
    assert "were not judged on the same edits" not in render({"vqa": fewer}).decode()
    assert "were not judged on the same edits" in render({"vqa": [*runs[:-1], fewer[-1]]}).decode()


def test_the_page_says_which_model_was_asked_what(make_runs: Any) -> None:
    text = render({"vqa": two_models(make_runs)}).decode()
    assert "Models made-up/model on made-up, org/other on theirs/dataset, edited with good, poor." in text


def test_streams_have_a_line_a_setting_and_a_small_dot_a_seed(make_runs: Any) -> None:
    edited = [run for run in two_models(make_runs) if not run.name.startswith("unedited")]
    streams = []
    for place, run in enumerate(edited):
        settings = replace(run.header.settings, stream=3, protocols=("legacy",))
        kept = [place / 2 if place < 3 else 0.5]
        stream = Stream("vqa", [checkpoint(0, 1, kept), checkpoint(0, 3, kept)], [placed(0, 0, 1.0)])
        streams.append(StreamRun(replace(run, header=replace(run.header, settings=settings)), stream))
    drawn = section("vqa", streams, looks_of({"vqa": [one.run for one in streams]}))
    titles = re.findall(r'aria-label="(Success of earlier edits[^"]*)"', drawn)
    assert titles == [f"Success of earlier edits, {model}" for model in ("model", "other")]
    assert "good, model, Success of earlier edits: 50.0 ± 50.0 over 3 seeds" in drawn
    assert "good, other, Success of earlier edits: 50.0 (95% interval" in drawn
    assert len(re.findall(r'class="seed"[^>]*><title>[^<]*Success of earlier edits', drawn)) == 3 * 2
    assert not re.search(r">[^<]*seed \d</text>", drawn)
