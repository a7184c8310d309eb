"""Runs are named by what tells them apart, and by no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.names import names, short
from evaluation.results.about import About
from evaluation.results.records import RunResult, Settings

BASE: dict[str, Any] = {
    "method": "ft",
    "config": {"lr": 0.1, "steps": 25, "part": {"name": "mlp"}},
    "model": "miniature/mllm",
    "model_digest": "1",
    "dataset": "demo/miniature/dataset",
    "dataset_digest": "2",
    "task": "vqa",
    "split": "test",
    "protocols": ("legacy", "wild"),
    "prompts": "family",
    "seed": 0,
}
OWN = {"dataset": "runs/own/dataset", "dataset_digest": "3"}
BLIP = {"model": "Salesforce/blip2-opt-2.7b", "model_digest": "4"}


def named(*runs: dict[str, Any], **header: Any) -> list[str]:
    made = [RunResult(settings=Settings(**{**BASE, **one}), **header) for one in runs]
    return names([(run, Path(f"out{number}")) for number, run in enumerate(made)])


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([{}, {"method": "mend"}, {"at_once": 10}], ["ft", "mend", "ft@10"]),
        ([{}, {"seed": 1}, {"method": "mend"}], ["ft, seed 0", "ft, seed 1", "mend"]),
        ([{}, OWN, {"method": "unedited", **OWN}], ["ft, miniature", "ft, own", "unedited, own"]),
        ([{}, BLIP, {**BLIP, "seed": 1}], ["ft, mllm", *(f"ft, blip2-opt-2.7b, seed {i}" for i in (0, 1))]),
        ([{}, {**OWN, **BLIP}], ["ft, mllm", "ft, blip2-opt-2.7b"]),
        (
            [{}, OWN, BLIP, {**OWN, **BLIP}],
            [f"ft, {model}, {data}" for model in ("mllm", "blip2-opt-2.7b") for data in ("miniature", "own")],
        ),
        ([{}, {"split": "train"}], ["ft, test split", "ft, train split"]),
        ([{}, {"prompts": "raw"}], ["ft, family prompts", "ft, raw prompts"]),
        ([{}, {"protocols": ("wild",)}], ["ft, legacy and wild", "ft, wild"]),
        ([{"at_once": 2}, {"at_once": 2, "seed": 1}], ["ft@2, seed 0", "ft@2, seed 1"]),
        ([{}, {}], ["ft, out0", "ft, out1"]),
    ],
)
def test_a_run_is_named_by_what_differs(runs: list[dict[str, Any]], expected: list[str]) -> None:
    assert named(*runs) == expected


def test_folders_of_one_name_are_told_by_the_steps_that_they_do_not_share() -> None:
    made = [
        RunResult(settings=Settings(**{**BASE, "method": method})) for method in ("ft", "ft", "ft", "ike")
    ]
    folders = ("eval/seed-0/vqa/ft", "eval/seed-1/vqa/ft", "stream/vqa/ft", "eval/seed-0/vqa/ike")
    assert names([*zip(made, map(Path, folders), strict=True)]) == [
        *("ft, eval/seed-0", "ft, eval/seed-1", "ft, stream", "ike"),
    ]


def test_options_are_named_and_never_more_of_them_than_it_takes() -> None:
    def of(**options: Any) -> dict[str, Any]:
        return {"config": {**BASE["config"], **options}}

    assert named({}, of(lr=0.2)) == ["ft, lr 0.1", "ft, lr 0.2"]
    assert named({}, of(lr=0.2, steps=50)) == ["ft, lr 0.1", "ft, lr 0.2"]
    assert named(of(lr=0.2), of(lr=0.2, steps=50), of(lr=0.1)) == [
        *("ft, lr 0.2, steps 25", "ft, lr 0.2, steps 50", "ft, lr 0.1, steps 25"),
    ]
    assert named({}, of(part={"name": "connector"})) == ["ft, name mlp", "ft, name connector"]
    assert named({}, of(clamp=2.0)) == ["ft, no clamp", "ft, clamp 2.0"]


def test_what_runs_noted_besides_their_settings_is_the_last_to_be_named() -> None:
    made = [
        RunResult(settings=Settings(**BASE), device=device, fit="abcdefghij") for device in ("cpu", "mps")
    ]
    assert names([(run, Path("out")) for run in made]) == ["ft, cpu", "ft, mps"]
    made = [RunResult(settings=Settings(**BASE), versions={"torch": one}) for one in ("2.1", "2.2")]
    assert names([(run, Path("out")) for run in made]) == ["ft, torch 2.1", "ft, torch 2.2"]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"1": "a/x", "2": "a/y"}, ["x", "y"]),
        ({"1": "user/set@v1", "2": "user/set@v2"}, ["set@v1", "set@v2"]),
        ({"1": "set", "2": "own/set"}, ["set", "own/set"]),
        ({"1234567890": "a/set", "abcdefghij": "a/set"}, ["a/set 1234567", "a/set abcdefg"]),
        ({"1": "a/set"}, ["set"]),
        ({}, []),
    ],
)
def test_places_are_shortened_as_far_as_they_differ(places: dict[str, str], expected: list[str]) -> None:
    assert list(short(places).values()) == expected


def test_a_method_that_is_shown_the_answers_is_marked() -> None:
    leaking = About(family="memory", batch=True, leaks=True)
    assert named({"method": "serac"}, about=leaking) == ["serac (sees answers)"]
    assert named({"method": "serac"}, about=replace(leaking, leaks=False)) == ["serac"]
