from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.components import components
from evaluation.report.page import render

SKILLS = {
    "unedited": 0.0,
    "ft on language": 0.75,
    "ft on vision": 0.5,
    "mend on connector": 1.0,
    "mend on language": 0.25,
    "ike": 0.5,
}


def plot_of(make_runs: Any, **plan: Any) -> str:
    return components(make_board("vqa", make_runs(**({"skills": SKILLS} | plan))["vqa"]))


def bars(plot: str) -> list[tuple[str, float]]:
    """What the bars are of, in their order, and their lengths."""
    found = re.findall(r'<rect x="96" y="[\d.]+" width="([\d.]+)" [^>]*><title>(.*?):', plot)
    return [(of, float(width)) for width, of in found]


def test_bars_stand_in_groups_of_a_method_part_by_part(make_runs: Any) -> None:
    plot = plot_of(make_runs, protocols=("wild",))
    assert [one for one in bars(plot) if "Reliability" in one[0]] == [
        ("ft on vision, Reliability, wild", 100.0),
        ("ft on language, Reliability, wild", 150.0),
        ("mend on connector, Reliability, wild", 200.0),
        ("mend on language, Reliability, wild", 50.0),
    ]
    assert plot.count("<svg") == 6
    words = re.findall(r'class="(?:name|label)"[^>]*>([a-z]+)</text>', plot)
    assert words[:6] == ["ft", "vision", "language", "mend", "connector", "language"]


def test_each_part_has_a_color_of_its_own(make_runs: Any) -> None:
    plot = plot_of(make_runs)
    paints = set(re.findall(r'fill="(var[^"]*)"[^>]*><title>\w+ on (\w+)', plot))
    assert len(paints) == len({paint for paint, _ in paints}) == len({part for _, part in paints}) == 3


def test_both_protocols_are_shown(make_runs: Any) -> None:
    plot = plot_of(make_runs)
    assert len(bars(plot)) == 4 * 6 * 2
    assert "legacy pale below" in plot
    assert "legacy" not in plot_of(make_runs, protocols=("wild",))


def test_without_runs_of_several_parts_there_is_no_plot(make_runs: Any) -> None:
    assert plot_of(make_runs, skills={"unedited": 0.0, "ft": 1.0}) == ""
    assert plot_of(make_runs, skills={"ft on vision": 1.0, "mend on vision": 1.0, "ft": 1.0}) == ""
    assert b"Vision, connector or language" not in render(make_runs())
    assert b"Vision, connector or language" in render(make_runs(skills=SKILLS))


def test_a_run_that_has_just_begun_has_no_place_yet(make_runs: Any) -> None:
    runs = make_runs(skills=SKILLS)["vqa"]
    begun = [replace(run, results=()) if run.name == "mend on connector" else run for run in runs]
    assert "connector</text>" not in components(make_board("vqa", begun))
    assert "connector</text>" in components(make_board("vqa", runs))


def test_a_second_run_of_the_same_is_another_group(make_runs: Any) -> None:
    runs = make_runs(skills=SKILLS)["vqa"]
    again = [replace(run, name=f"{run.name}, seed 1") for run in runs if run.name.startswith("ft")]
    plot = components(make_board("vqa", [*runs, *again]))
    assert re.findall(r'class="name"[^>]*>([^<]*)</text>', plot)[:3] == ["ft", "mend", "ft, seed 1"]
