from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from evaluation.report.answers import LONGEST, Judged, answers_table, outcome, state
from evaluation.report.board import make_board


def judged_of(make_runs: Any, number: int, **plan: Any) -> Judged:
    runs = make_runs(**plan)["vqa"]
    return Judged(make_board("vqa", runs), [(run, run.results[number]) for run in runs])


def test_each_method_answers_each_probe(make_runs: Any) -> None:
    table = answers_table(judged_of(make_runs, 7))
    heads = re.findall(r'<th scope="col">([^<]*)<', table)
    assert heads[3:] == ["Text locality", "Image locality, far", "Image locality, same image"]
    assert re.findall(r'data-method="(\w+)" data-failed="([^"]*)"', table) == [
        ("good", ""),
        ("poor", "reliability text_generality image_generality text_locality image_locality"),
    ]
    assert table.count("made-up before") == 6
    assert table.count("made-up mistake") == 6


def test_portability_tells_its_hops(make_runs: Any) -> None:
    judged = judged_of(make_runs, 7)
    hop = replace(judged.edit.probes[0], kind="portability", item="hop/1", relation="2-hop", known=True)
    results = [(run, replace(one, probes=(*one.probes, hop))) for run, one in judged.results]
    heads = re.findall(r'<th scope="col">([^<]*)<', answers_table(replace(judged, results=results)))
    assert heads[2:5] == ["Image generality", "Portability, 2 hops", "Text locality"]


def test_passes_are_counted(make_runs: Any) -> None:
    line = outcome(judged_of(make_runs, 7))
    assert "good <b>6/6</b>" in line
    assert "poor <b>0/6</b>" in line


def test_what_the_family_puts_around_a_question_is_left_out(make_runs: Any) -> None:
    judged = judged_of(make_runs, 0)
    assert [judged.question(probe) for probe in judged.probes.values()][:2] == [
        "What is reliability?",
        "What is text_generality?",
    ]
    odd = replace(judged.probes["text_generality", ""], prompt="odd")
    assert judged.question(odd) == "odd"


@pytest.mark.parametrize(("score", "expected"), [(0.0, "fail"), (0.4, "fail"), (0.6, "part"), (1.0, "pass")])
def test_a_score_of_less_than_half_has_failed(make_probe: Any, score: float, expected: str) -> None:
    assert state("caption", make_probe("reliability", score)) == expected


def test_captions_are_judged_by_consensus_and_answers_by_match(make_probe: Any) -> None:
    probe = replace(make_probe("reliability", 0.0), scores={"wild": {"match": 0.0, "consensus": 1.0}})
    assert state("caption", probe) == "pass"
    assert state("vqa", probe) == "fail"


def test_where_the_protocols_disagree_the_other_is_told(make_runs: Any) -> None:
    runs = make_runs(skills={"good": 1.0})["vqa"]
    first, *others = runs[0].results[0].probes
    split = replace(first, scores={**first.scores, "legacy": {"exact_match": 0.0}})
    result = replace(runs[0].results[0], probes=(split, *others))
    table = answers_table(Judged(make_board("vqa", runs), [(runs[0], result)]))
    assert table.count("<small> legacy 0</small>") == 1


def test_skipped_edits_say_why(make_runs: Any) -> None:
    table = answers_table(judged_of(make_runs, 0, skips=("made-up/0",)))
    assert table.count("skipped: Made-up reason.") == 2
    assert table.count("made-up before") == 6


def test_an_edit_that_everyone_skipped_still_has_its_row(make_runs: Any) -> None:
    judged = judged_of(make_runs, 0, skills={"good": 1.0}, skips=("made-up/0",))
    assert judged.probes == {}
    assert "skipped: Made-up reason." in answers_table(judged)


def test_without_free_answers_the_signs_are_there(make_runs: Any) -> None:
    table = answers_table(judged_of(make_runs, 7, protocols=("legacy",)))
    assert table.count("not written") == 18
    assert table.count('aria-label="failed"') == 6


def test_long_answers_are_cut(make_runs: Any) -> None:
    runs = make_runs(skills={"good": 1.0})["vqa"]
    result = runs[0].results[0]
    result = replace(result, probes=(replace(result.probes[0], after="w" * 5000),))
    table = answers_table(Judged(make_board("vqa", runs), [(runs[0], result)]))
    assert "w" * (LONGEST - 1) + "…" in table
    assert "w" * LONGEST not in table
