"""Tables for papers: what stands in them, and that LaTeX fits them to one column and to two."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.report.blocks import blocks
from evaluation.report.latex import PREAMBLE, latex
from evaluation.report.tables import main_tables, write_tables
from evaluation.results.about import About

PDFLATEX = shutil.which("pdflatex")
PAGE = r"""\documentclass[%s,10pt]{article}
\usepackage{booktabs,graphicx}
\begin{document}\input{tables}\end{document}
"""


def written(runs: Any, folder: Path) -> str:
    write_tables(runs, folder)
    return (folder / "tables.tex").read_text()


def test_both_tasks_stand_side_by_side_and_each_by_itself(make_runs: Any, tmp_path: Path) -> None:
    text = written(make_runs(tasks=("vqa", "caption")), tmp_path)
    labels = [f"mmedit-{of}" for of in ("legacy-vqa-caption", "legacy-vqa", "legacy-caption", "wild-vqa")]
    assert all(text.count(rf"\label{{tab:{label}}}") == 1 for label in labels)
    joined, alone, *_ = text.split(r"\end{table")
    assert joined.startswith(PREAMBLE + "\n" + r"\begin{table*}")
    assert r" & \multicolumn{6}{c}{Visual questions} & \multicolumn{6}{c}{Captions} \\" in joined
    assert r"\cmidrule(lr){2-7}\cmidrule(lr){8-13}" in joined
    assert r"\begin{tabular}{lrrrrrr}" in alone


def test_the_file_begins_with_the_packages_that_it_needs(make_runs: Any, tmp_path: Path) -> None:
    before, _, _ = written(make_runs(), tmp_path).partition(r"\begin{table")
    assert r"\usepackage{booktabs,graphicx}" in before
    # All of it comments, and nothing that a paper would print.
    assert all(line.startswith("%") for line in before.split("\n") if line)


def test_the_best_method_is_bold_and_has_the_name_that_papers_give_it(make_runs: Any, tmp_path: Path) -> None:
    found = make_runs(skills={"unedited": 1.0, "lora": 0.5, "mend": 0.5, "mine": 0.25})
    text = written(found, tmp_path)
    for row in (
        r"Unedited & 100.0 & 100.0 &",
        r"LoRA & \textbf{50.0} &",
        r"MEND & \textbf{50.0} &",
        r"mine & 25.0 &",
    ):
        assert row in text


def test_one_that_sees_answers_is_never_the_best(make_runs: Any, tmp_path: Path) -> None:
    unedited, good, poor = make_runs()["vqa"]
    about = About(family="memory", batch=True, leaks=True)
    text = written(
        {"vqa": [unedited, replace(good, header=replace(good.header, about=about)), poor]}, tmp_path
    )
    assert r"good (sees answers) & 100.0 &" in text
    assert r"poor & \textbf{25.0} &" in text


OTHER = {"model": "org/other", "model_digest": "9", "dataset": "theirs", "dataset_digest": "8"}


def test_models_have_blocks_whatever_task_they_were_judged_on(make_runs: Any, tmp_path: Path) -> None:
    runs = make_runs(tasks=("vqa", "caption"))
    other = make_runs(skills={"unedited": 0.0, "poor": 0.5}, settings=OTHER)["vqa"]
    runs["vqa"] += [replace(run, name=f"{run.name}, theirs") for run in other]
    joined = written(runs, tmp_path).partition(r"\end{table")[0]
    body = [line for line in joined.split("\n") if line.endswith(r"\\") or line == r"\midrule"][2:]
    names = [line.partition(" &")[0] for line in body]
    assert names == [
        *(r"\midrule", r"\multicolumn{13}{l}{\textit{model}} \\", "Unedited", "good", "poor"),
        *(r"\midrule", r"\multicolumn{13}{l}{\textit{other}} \\", "Unedited", "poor"),
    ]
    good, theirs = body[3], body[-1]
    assert good.count(r"\textbf{100.0}") == 12
    # Of each model's the best, and nothing where it was asked nothing.
    assert theirs.count(r"\textbf{50.0}") == theirs.count("--") == 6


def test_settings_of_both_tasks_are_told_apart_as_one(make_runs: Any) -> None:
    fast = {"config": {"lr": 0.5}}
    runs = make_runs(tasks=("vqa", "caption"), skills={"good": 1.0})
    runs["vqa"] += make_runs(skills={"good": 0.5}, settings=fast)["vqa"]
    (lines,) = blocks(runs).values()
    assert [(line.name, list(line.groups)) for line in lines] == [
        ("good, made_up 1", ["vqa", "caption"]),
        ("good, no made_up", ["vqa"]),
    ]


def test_of_several_datasets_of_one_task_each_has_a_block(make_runs: Any) -> None:
    runs = make_runs(tasks=("vqa", "caption"), skills={"good": 1.0})
    runs["vqa"] += make_runs(skills={"good": 0.5}, settings={"dataset": "own", "dataset_digest": "3"})["vqa"]
    found = {title: [list(line.groups) for line in lines] for title, lines in blocks(runs).items()}
    assert found == {"model, made-up": [["vqa", "caption"]], "model, own": [["vqa"]]}


def test_a_table_that_a_column_has_no_room_for_is_as_wide_as_the_page(make_runs: Any, tmp_path: Path) -> None:
    def kinds(**plan: Any) -> list[str]:
        text = written(make_runs(**plan), tmp_path)
        return re.findall(r"\\begin\{(table\*?)\}", text)[:2]

    assert kinds() == ["table", "table"]
    assert kinds(skills={"unedited": 0.0, "a-method-of-a-very-long-name": 1.0}) == ["table*", "table*"]


def test_a_table_of_many_intervals_is_as_wide_as_the_page(make_runs: Any) -> None:
    assert latex(main_tables(make_runs())[0]).startswith(r"\begin{table*}")


@pytest.mark.skipif(PDFLATEX is None, reason="needs pdflatex, with booktabs and graphicx")
@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_nothing_sticks_out_of_the_page(make_runs: Any, tmp_path: Path, columns: str) -> None:
    written(make_runs(tasks=("vqa", "caption"), words="50% of_$ #{} \\ ~^ & words"), tmp_path)
    (tmp_path / "page.tex").write_text(PAGE % columns)
    assert PDFLATEX is not None
    command = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert "Overfull" not in (tmp_path / "page.log").read_text(errors="replace")
