"""Tables for papers: what stands in them, and that LaTeX fits them to one column and to two."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
