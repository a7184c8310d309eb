from __future__ import annotations

import re
from dataclasses import replace

from evaluation.drawing.markup import Html
from evaluation.report.board import FEW, MANY, Board, make_board
from evaluation.report.folding import folded, lead
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.results.about import About
from tests.evaluation.report.conftest import MakeRuns

FAMILIES = ("memory", "fine-tuning", "sanity")


def made(make_runs: MakeRuns, number: int) -> list[Run]:
    """The unedited model, and methods of three families by turns, each better than the one before."""
    skills = {"unedited": 0.0} | {f"m{one}": one / number for one in range(number)}
    unedited, *edited = make_runs(skills=skills, ids=[f"made-up/{one}" for one in range(number)])["vqa"]
    return [unedited, *(_of(run, FAMILIES[one % 3]) for one, run in enumerate(edited))]


def _of(run: Run, family: str) -> Run:
    about = About(family=family, batch=True)
    return replace(run, header=replace(run.header, about=about))


def names(board: Board) -> Html:
    return Html(" ".join(f"<i>{run.name}</i>" for run in board.runs))


def test_not_very_many_methods_are_all_shown(make_runs: MakeRuns) -> None:
    board = make_board("vqa", made(make_runs, MANY))
    assert board.foremost == {run.name for run in board.runs}
    assert folded(board, names) == names(board)
    assert not lead(board)


def test_of_more_the_best_of_each_family_and_the_best_of_the_rest_are(make_runs: MakeRuns) -> None:
    runs = made(make_runs, 24)
    # The worst of all is alone in its family, and the best are what tests the evaluation.
    runs[1] = _of(runs[1], "locate and edit")
    board = make_board("vqa", runs)
    first = board.foremost
    assert len(first) == FEW + 1
    assert {"unedited", "m0", "m22", "m21", "m19", "m18", "m16", "m15", "m13"} == first
    assert "the others are folded" in lead(board)
    shown = folded(board, names)
    assert "16 more methods" in shown
    assert sorted(re.findall("<i>(.*?)</i>", shown)) == sorted(run.name for run in runs)
    assert all(f"<i>{name}</i>" in shown.partition("<details")[0] for name in first)


def test_the_page_labels_no_more_than_fit(make_runs: MakeRuns) -> None:
    page = render({"vqa": made(make_runs, 24)}).decode()
    assert page.count("16 more methods") > 20
    assert 'class="pale"' in page
