"""Methods are told apart by their looks, and keep them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from editors import EDITORS, editor_class
from evaluation.report.looks import Look, make_looks
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.results.about import About


def runs_of(make_runs: Any, *methods: str, **settings: Any) -> list[Run]:
    """Runs of some methods, with the families that known ones have."""
    found: list[Run] = []
    for run in make_runs(skills=dict.fromkeys(methods, 0.5), settings=settings)["vqa"]:
        family = editor_class(run.name).family if run.name in EDITORS else "memory"
        about = None if run.name in ("unedited", "strange") else About(family=family, batch=True)
        name = run.header.settings.name
        found.append(replace(run, name=name, header=replace(run.header, about=about)))
    return found


def test_all_methods_differ_in_color_or_shape_and_families_in_hue(make_runs: Any) -> None:
    looks = make_looks(runs_of(make_runs, "unedited", *EDITORS))
    assert looks["unedited"] == Look(None)
    assert looks["unedited"].paint == "var(--none)"
    edited = [looks[name] for name in EDITORS]
    assert len(set(edited)) == len(EDITORS)
    families = {editor_class(name).family: looks[name].hue for name in EDITORS}
    assert len(set(families.values())) == len(families) == 6
    assert all(looks[name].hue == families[editor_class(name).family] for name in EDITORS)


def test_a_method_looks_the_same_whatever_stands_beside_it(make_runs: Any) -> None:
    everything = make_looks(runs_of(make_runs, *EDITORS))
    for name in EDITORS:
        assert make_looks(runs_of(make_runs, name)) == {name: everything[name]}


def test_many_methods_of_one_family_differ_in_color_or_shape(make_runs: Any) -> None:
    methods = ["ike", "remember", "serac", "serac-image", *(f"mine {letter}" for letter in "abcdefgh")]
    looks = make_looks(runs_of(make_runs, *methods))
    assert {look.hue for look in looks.values()} == {1}
    assert len(set(looks.values())) == len(methods) == 12


def test_methods_of_no_known_family_have_a_color_too(make_runs: Any) -> None:
    looks = make_looks(runs_of(make_runs, "strange", "ft"))
    assert looks["strange"].hue not in (None, looks["ft"].hue)


def test_runs_of_a_method_differ_in_shape_and_groups_of_one_run_in_nothing(make_runs: Any) -> None:
    first, second = (runs_of(make_runs, "ft", seed=seed)[0] for seed in (0, 1))
    named = [replace(first, name="ft, seed 0"), replace(second, name="ft, seed 1")]
    looks = make_looks([*named, *runs_of(make_runs, "mend"), *runs_of(make_runs, "mend", at_once=10)])
    assert looks["ft, seed 0"].paint == looks["ft, seed 1"].paint
    assert looks["ft, seed 0"].shape != looks["ft, seed 1"].shape
    assert looks["mend"] == looks["mend@10"]


def test_a_method_has_one_color_on_the_whole_page(make_runs: Any) -> None:
    vqa = make_runs(skills={"unedited": 0.0, "b": 0.5, "c": 0.25})["vqa"]
    caption = make_runs(skills={"a": 1.0, "c": 0.5}, tasks=("caption",))["caption"]
    page = render({"vqa": vqa, "caption": caption}).decode()
    paints = {
        name: set(re.findall(rf'fill="(var[^"]*)"[^>]*><title>{name}[,:]', page)) for name in ("a", "b", "c")
    }
    assert [len(found) for found in paints.values()] == [1, 1, 1]
    assert len(set.union(*paints.values())) == 3
