from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.runs import Run
from evaluation.report.sections import TYPES, costs, main_table, meanings, type_tables, warnings, what_was_run


def board_of(make_runs: Any, **plan: Any) -> Any:
    return make_board("vqa", make_runs(**plan)["vqa"])


def test_the_main_table_has_both_protocols_side_by_side(make_runs: Any) -> None:
    table = main_table(board_of(make_runs))
    assert re.findall(r"<b>([a-z]+)</b><span>8 edits", table) == ["unedited", "good", "poor"]
    labels = re.findall(r'data-label="([^"]*)"', table)[:12]
    columns = ["Rel", "T-Gen", "I-Gen", "T-Loc", "I-Loc", "I-Loc near"]
    assert labels == [f"{protocol} {column}" for protocol in ("legacy", "wild") for column in columns]
    assert ">25.0<span>[3.9, 73.4]</span>" in table


def test_what_a_run_did_not_ask_has_no_number(make_runs: Any) -> None:
    runs = make_runs()["vqa"]
    only_legacy = make_runs(protocols=("legacy",), skills={"poor": 0.25})["vqa"][0]
    table = main_table(make_board("vqa", [*runs[:2], only_legacy]))
    assert table.count('data-label="wild Rel"') == 3
    assert len(re.findall(r'<td [^>]*data-label="wild [^"]*"[^>]*>-</td>', table)) == 6


def with_portability(run: Run) -> Run:
    results = []
    for number, one in enumerate(run.results):
        hop = replace(one.probes[0], kind="portability", relation="2-hop", known=number < 2)
        results.append(replace(one, probes=(*one.probes, hop)))
    return replace(run, results=results)


def test_portability_is_shown_where_any_run_has_it(make_runs: Any) -> None:
    first, second, third = make_runs()["vqa"]
    board = make_board("vqa", [first, second, with_portability(third)])
    table, words = main_table(board), meanings(board)
    columns = ["Rel", "T-Gen", "I-Gen", "Port", "Port known", "T-Loc", "I-Loc", "I-Loc near"]
    assert re.findall(r'data-label="wild ([^"]*)"', table)[:8] == columns
    assert re.findall(r'title="poor, Portability, known, wild: [^"]*, (\d) edits', table) == ["2"]
    assert "<dt>Portability, known</dt>" in words
    assert "<dt>token accuracy (legacy)</dt>" in words
    without = make_board("vqa", [first, second, third])
    assert "Port" not in main_table(without)
    assert "Portability" not in meanings(without)


def test_scores_are_explained(make_runs: Any) -> None:
    words = meanings(board_of(make_runs))
    assert "<dt>Image locality, near</dt>" in words
    assert "<dt>top-10 (legacy)</dt>" in words
    assert "<dt>match (wild)</dt>" in words


def test_runs_that_can_be_compared_have_no_warning(make_runs: Any) -> None:
    assert warnings(board_of(make_runs)) == ""


def test_what_keeps_runs_from_being_compared_is_told(make_runs: Any) -> None:
    first, second, third = make_runs()["vqa"]
    half = replace(third, header=replace(third.header, finished=False), results=third.results[:3])
    assert "poor is not finished: it has 3 edits so far." in warnings(make_board("vqa", [first, half]))
    assert "not judged on the same edits" in warnings(make_board("vqa", [first, half]))
    other = make_runs(skills={"good": 1.0}, settings={"model_digest": "other"})["vqa"]
    assert "more than one model, dataset" in warnings(make_board("vqa", [first, second, *other]))


def test_types_of_questions_have_their_means(make_runs: Any) -> None:
    tables = type_tables(board_of(make_runs))
    assert tables.count("<table") == 12
    assert "poor, color: 25.0 (95% interval" in tables
    assert 'style="--share:25%"' in tables


def test_one_type_is_no_breakdown(make_runs: Any) -> None:
    assert type_tables(board_of(make_runs, words="same")) == ""


def test_tables_of_many_methods_have_room_for_all(make_runs: Any) -> None:
    [run] = make_runs(skills={"good": 1.0})["vqa"]
    for number, room in ((3, 7), (16, 16)):
        board = make_board("vqa", [replace(run, name=f"method {i}") for i in range(number)])
        assert f'class="types" style="--runs:{room}"' in type_tables(board)


def test_of_many_types_the_most_frequent_are_shown(make_runs: Any) -> None:
    [run] = make_runs(skills={"good": 1.0}, ids=tuple(map(str, range(20))))["vqa"]
    results = [
        replace(one, question_type="often" if number < 3 else f"type {number:02}")
        for number, one in enumerate(run.results)
    ]
    tables = type_tables(make_board("vqa", [replace(run, results=results)]))
    rows = re.findall(r'<th scope="row">([^<]*)<', tables)
    assert rows[0] == "often"
    assert len(set(rows)) == TYPES
    assert f"The {TYPES} most frequent of 18 types." in tables


def test_costs_and_skipped_edits_are_told(make_runs: Any) -> None:
    board = board_of(make_runs, skips=("made-up/0", "made-up/1"))
    probes = len(board.runs[0].results[0].probes)
    told = costs(board)
    for label, shown in {
        "edits": "6",
        "skipped": "2",
        "fit (s)": "2.5",
        "edit (s)": "0.500",
        "probe (s)": f"{0.25 / probes:.4f}",
        "peak (MB)": "300",
        "changed": "1,234",
    }.items():
        assert f'<td data-label="{label}">{shown}</td>' in told
    assert "<li>good, 2 edits: Made-up reason.</li>" in told


def test_settings_of_every_run_are_shown(make_runs: Any) -> None:
    ran = [(task, run) for task, runs in make_runs(tasks=("vqa", "caption")).items() for run in runs]
    shown = what_was_run(ran, ())
    assert "6 runs with their settings" in shown
    assert "made-up/model" in shown
    assert "made_up 1" in shown
    assert "test split, prompts family, seed 0" in shown


def test_the_threads_of_a_processor_are_told(make_runs: Any) -> None:
    [run] = make_runs(skills={"good": 1.0})["vqa"]
    header = replace(run.header, device="cpu", threads=3)
    assert "cpu (3 threads)" in what_was_run([("vqa", replace(run, header=header))], ())


def test_streams_are_told_from_single_edits(make_runs: Any) -> None:
    [run] = make_runs(skills={"good": 1.0})["vqa"]
    preset = replace(run.header, settings=replace(run.header.settings, preset="vlkeb-gap"))
    streamed = [("vqa", run), ("vqa", replace(run, header=preset))]
    shown = what_was_run([("vqa", run)], streamed)  # type: ignore[arg-type]
    assert "3 runs with their settings" in shown
    for what in ("vqa", "vqa, streams", "vqa, streams as vlkeb-gap"):
        assert f"good<span>{what}</span>" in shown
