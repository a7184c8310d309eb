"""What a report is about: all runs below some folders, each once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.latex import latex
from evaluation.report.numbers import as_csv, score_rows
from evaluation.report.page import render
from evaluation.report.runs import Run, find_runs, notes
from evaluation.report.stream_tables import find_all
from evaluation.report.tables import main_tables, markdown
from evaluation.results.about import About
from evaluation.results.records import ResultFolder
from mmedit_build.errors import UserError

OWN = {"dataset": "runs/own/dataset", "dataset_digest": "other"}


def write(folder: Path, runs: list[Run]) -> None:
    for run in runs:
        place = ResultFolder(folder / run.task / run.header.settings.name)
        place.folder.mkdir(parents=True)
        place.begin(run.header)
        for result in run.results:
            place.add(result)


@pytest.fixture
def out(make_runs: Any, tmp_path: Path) -> Path:
    write(tmp_path / "A", make_runs()["vqa"])
    return tmp_path / "A"


def names(*folders: Path) -> list[str]:
    return [run.name for run in find_runs(folders)["vqa"]]


def test_the_very_same_run_is_shown_once_and_that_is_told(out: Path, make_runs: Any) -> None:
    unedited, good, poor = make_runs()["vqa"]
    # A run that was cut off, and one that took another time, are the same; one of another model is not.
    slower = [replace(result, plan_seconds=9.0) for result in poor.results]
    write(
        out.parent / "B", [unedited, replace(good, results=good.results[:3]), replace(poor, results=slower)]
    )
    runs = find_runs([out.parent / "B", out])["vqa"]
    assert [(run.name, len(run.results)) for run in runs] == [("unedited", 8), ("good", 8), ("poor", 8)]
    first, second = notes(runs)
    assert first.startswith(f"good: {out}/vqa/good and {out.parent}/B/vqa/good hold the very same run")
    assert first in render({"vqa": runs}).decode()
    assert second in markdown({"vqa": runs})


def test_a_method_that_is_shown_the_answers_is_marked_wherever_it_stands(
    make_runs: Any, tmp_path: Path
) -> None:
    unedited, good, _ = make_runs()["vqa"]
    about = About(family="memory", batch=True, leaks=True)
    write(tmp_path, [unedited, replace(good, header=replace(good.header, about=about))])
    runs = find_runs([tmp_path])
    assert notes(runs["vqa"])[0].startswith("good (sees answers): it goes by the answers that are scored")
    for text in (
        markdown(runs),
        render(runs).decode(),
        as_csv((), score_rows(runs)),
        latex(main_tables(runs)[0]),
    ):
        assert "good (sees answers)" in text


def test_runs_of_the_same_settings_and_other_numbers_are_two(out: Path, make_runs: Any) -> None:
    [worse] = make_runs(skills={"good": 0.5})["vqa"]
    write(out.parent / "B", [worse])
    assert names(out, out.parent / "B") == [
        *("unedited", "good, A", "good, B", "poor"),
    ]


def test_the_unedited_model_comes_once_with_all_that_it_was_asked(out: Path, make_runs: Any) -> None:
    unedited = make_runs(settings={"seed": 1})["vqa"][0]
    more = [replace(one, id=f"{one.id}/{half}") for half in "ab" for one in unedited.results]
    write(out.parent / "B", [replace(unedited, results=[*unedited.results, *more])])
    runs = find_runs([out, out.parent / "B"])["vqa"]
    assert [(run.name, len(run.results)) for run in runs] == [("unedited", 24), ("good", 8), ("poor", 8)]
    assert notes(runs) == []


def test_names_are_the_same_in_all_that_is_written(out: Path, make_runs: Any) -> None:
    write(out.parent / "B", make_runs(settings=OWN)["vqa"])
    write(out.parent / "C", make_runs(settings=OWN | {"seed": 1}, skills={"good": 0.5})["vqa"])
    runs = find_runs([out, out.parent / "B", out.parent / "C"])
    expected = [
        *("unedited, made-up", "unedited, own", "good, made-up", "good, own, seed 0", "good, own, seed 1"),
        *("poor, made-up", "poor, own"),
    ]
    assert [run.name for run in runs["vqa"]] == expected
    page, tex = render(runs).decode(), latex(main_tables(runs)[0])
    table, scores = markdown(runs), as_csv(["task", "method"], (row[:2] for row in score_rows(runs)))
    for name in expected:
        assert f"<b>{name}</b>" in page
        assert f"| {name} |" in table
        assert f"\n{name.replace('unedited', 'Unedited')} &" in tex
        assert f'vqa,"{name}"' in scores


def test_a_folder_that_is_named_twice_counts_once(out: Path) -> None:
    alias = out.parent / "alias"
    alias.symlink_to(out)
    assert names(out, out / ".." / out.name, alias) == names(out) == ["unedited", "good", "poor"]


def test_a_run_that_has_only_begun_is_left_out(out: Path, make_runs: Any) -> None:
    [begun] = make_runs(skills={"mend": 1.0})["vqa"]
    write(out, [replace(begun, results=())])
    assert names(out) == ["unedited", "good", "poor"]


def test_a_folder_without_results_is_told_by_its_name(out: Path, make_runs: Any) -> None:
    with pytest.raises(UserError, match=r"There are no results in .*/nowhere;"):
        find_runs([out, out.parent / "nowhere"])
    [begun] = make_runs(skills={"mend": 1.0})["vqa"]
    write(out.parent / "B", [replace(begun, results=())])
    with pytest.raises(UserError, match=r"There are no results in .*/B;"):
        find_all([out.parent / "B"])
    with pytest.raises(UserError, match=r"There are no results of single edits or several at once in .*/B;"):
        find_runs([out.parent / "B"])
