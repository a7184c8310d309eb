from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

from evaluation.report.board import make_board
from evaluation.report.divergence import POINTS, divergences


def plot_of(make_runs: Any, kl: Any, **plan: Any) -> str:
    """The plot of one method, whose text locality diverges by `kl(number)`."""
    [run] = make_runs(skills={"good": 1.0}, **plan)["vqa"]
    results = []
    for number, one in enumerate(run.results):
        probes = [
            replace(probe, scores={"wild": {"unchanged": 1.0, "kl": kl(number)}})
            for probe in one.probes
            if probe.kind == "text_locality"
        ]
        results.append(replace(one, probes=tuple(probes)))
    return divergences(make_board("vqa", [replace(run, results=results)]))


def places(plot: str) -> list[float]:
    return [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', plot)]


def test_every_edit_has_a_point_farther_to_the_right_the_more_it_diverges(make_runs: Any) -> None:
    plot = plot_of(make_runs, lambda number: 10.0 ** (number - 6))
    found = places(plot)
    assert len(found) == 8
    assert found == sorted(found)
    steps = {round(second - first) for first, second in pairwise(found)}
    assert len(steps) <= 2
    assert "good, made-up/6: 1<" in plot


def test_a_protocol_without_divergence_has_no_plot(make_runs: Any) -> None:
    runs = make_runs(protocols=("legacy",))["vqa"]
    assert divergences(make_board("vqa", runs)) == ""


def test_no_divergence_has_a_place_too(make_runs: Any) -> None:
    plot = plot_of(make_runs, lambda number: 0.0 if number < 4 else 1e-3)
    zeros, others = places(plot)[:4], places(plot)[4:]
    assert set(zeros) == {92.0}
    assert min(others) > 92
    assert ">0</text>" in plot
    assert ">10⁻³</text>" in plot
    assert "good, made-up/0: 0<" in plot


def test_the_median_is_told(make_runs: Any) -> None:
    assert ">2.0·10⁻⁵</text>" in plot_of(make_runs, lambda _: 2e-5)


def test_of_many_edits_some_are_drawn(make_runs: Any) -> None:
    ids = tuple(f"made-up/{number}" for number in range(3 * POINTS))
    plot = plot_of(make_runs, lambda number: 1e-9 * (number + 1), ids=ids)
    assert len(places(plot)) == POINTS
    assert "made-up/0:" in plot
    assert f"made-up/{3 * POINTS - 3}:" in plot


def test_without_free_answers_there_is_no_divergence(make_runs: Any) -> None:
    assert divergences(make_board("vqa", make_runs(protocols=("legacy",))["vqa"])) == ""


def test_the_unedited_model_is_left_out(make_runs: Any) -> None:
    plot = divergences(make_board("vqa", make_runs()["vqa"]))
    assert plot.count("<svg") == 3
    assert "unedited" not in plot
