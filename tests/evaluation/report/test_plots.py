from __future__ import annotations

import re
from typing import Any

import pytest

from evaluation.drawing.svg import clip_name
from evaluation.report.board import make_board
from evaluation.report.plots import NAME, agreements, bars, radars, tradeoffs


def board_of(make_runs: Any, **plan: Any) -> Any:
    return make_board("vqa", make_runs(**plan)["vqa"])


def test_bars_are_as_long_as_their_numbers(make_runs: Any) -> None:
    plot = bars(board_of(make_runs))
    found = re.findall(
        r'<rect x="96" y="[\d.]+" width="([\d.]+)" [^>]*class="bar (\w+)"[^>]*><title>(.*?)</title>', plot
    )
    widths = {(tip.split(":")[0], protocol): float(width) for width, protocol, tip in found}
    assert widths["good, Reliability, wild", "wild"] == 200
    assert widths["poor, Reliability, legacy", "legacy"] == 50
    assert widths["unedited, Text locality, wild", "wild"] == 200
    assert len(widths) == 3 * 6 * 2


def test_bars_say_their_numbers_with_intervals(make_runs: Any) -> None:
    plot = bars(board_of(make_runs))
    assert "poor, Reliability, wild: 25.0 (95% interval 3.9 to 73.4), 8 edits" in plot
    assert ">25.0</text>" in plot


def test_methods_have_a_radar_and_the_unedited_model_none(make_runs: Any) -> None:
    plot = radars(board_of(make_runs))
    assert re.findall(r'aria-label="([^"]*)"', plot) == ["good", "poor"]
    assert "poor, legacy: Rel 25.0, T-Gen 25.0, I-Gen 25.0, T-Loc 25.0, I-Loc 25.0, I-Loc near 25.0" in plot


def test_scatters_have_a_mark_and_a_name_for_each_method(make_runs: Any) -> None:
    plot = tradeoffs(board_of(make_runs))
    assert plot.count("<svg") == 6
    assert plot.count('class="mark"') == 18
    assert plot.count(">poor</text>") == 6
    assert "good: Reliability 100.0 (95% interval 51.0 to 100), 8 edits; Text locality 100.0" in plot


def test_protocols_are_compared_only_where_there_are_two(make_runs: Any) -> None:
    assert agreements(board_of(make_runs)).count("<svg") == 6
    assert agreements(board_of(make_runs, protocols=("legacy",))) == ""
    assert tradeoffs(board_of(make_runs, protocols=("legacy",))).count("<svg") == 3


def test_a_single_protocol_is_drawn_in_full_color(make_runs: Any) -> None:
    plot = bars(board_of(make_runs, protocols=("wild",)))
    assert plot.count('class="bar wild"') == 18
    assert "legacy" not in plot


def test_what_nobody_was_asked_is_not_drawn(make_runs: Any) -> None:
    runs = make_runs(skips=tuple(f"made-up/{number}" for number in range(8)), skills={"good": 1.0})["vqa"]
    board = make_board("vqa", runs)
    assert bars(board) == radars(board) == tradeoffs(board) == agreements(board) == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("serac-image", "serac-image"),
        ("ft, seed 1", "ft, seed 1"),
        ("ft on connector", "ft on connect…"),
        ("serac-image, own", "serac-im…, own"),
        ("ft, blip2-opt-2.7b, seed 1", "ft….7b, seed 1"),
    ],
)
def test_names_are_clipped_where_they_tell_least(name: str, shown: str) -> None:
    assert clip_name(name, NAME) == shown
    assert len(shown) <= NAME
