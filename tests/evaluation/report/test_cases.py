from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from evaluation.data.dataset import digest, load_cases
from evaluation.report import cases
from evaluation.report.board import make_board
from evaluation.report.cases import evenly, make_cards
from evaluation.report.pictures import find_cases


def boards_of(make_runs: Any, **plan: Any) -> Any:
    return [make_board(task, runs) for task, runs in make_runs(**plan).items()]


def pictured(dataset: Path) -> dict[str, Any]:
    """The plan of results on a real dataset."""
    found = load_cases(str(dataset), "vqa")
    settings = {"dataset": str(dataset), "dataset_digest": digest(found)}
    return {"ids": tuple(case.id for case in found), "settings": settings}


def test_some_are_taken_from_all_over() -> None:
    assert evenly(range(100), 4) == [0, 25, 50, 75]
    assert evenly(range(3), 10) == [0, 1, 2]
    assert evenly([], 3) == []


def test_every_edit_has_a_card_in_order(make_runs: Any) -> None:
    cards = make_cards(boards_of(make_runs, tasks=("vqa", "caption")))
    assert (len(cards.shown), cards.number, cards.pictures) == (16, 16, False)
    assert [re.search(r"made-up/\d", card)[0] for card in cards.shown[:3]] == [  # type: ignore[index]
        "made-up/0",
        "made-up/1",
        "made-up/2",
    ]
    assert 'data-task="caption" data-type="count"' in cards.shown[8]


def test_more_edits_than_fit_are_thinned_out(make_runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = boards_of(make_runs, tasks=("vqa", "caption"))
    size = sum(map(len, make_cards(boards).shown))
    monkeypatch.setattr(cases, "BUDGET", size // 2)
    cards = make_cards(boards)
    assert (len(cards.shown), cards.number) == (8, 16)
    assert sum(map(len, cards.shown)) <= size // 2
    assert 'data-task="vqa"' in cards.shown[0]
    assert 'data-task="caption"' in cards.shown[-1]


def test_edits_of_two_models_are_not_mixed(make_runs: Any) -> None:
    [first] = make_runs(skills={"good": 1.0}).values()
    [second] = make_runs(skills={"poor": 0.25}, settings={"model_digest": "other"}).values()
    cards = make_cards([make_board("vqa", [*first, *second])])
    assert cards.number == 16
    assert all(card.count("data-method=") == 1 for card in cards.shown)


def test_pictures_come_from_the_dataset(make_runs: Any, dataset: Path) -> None:
    cards = make_cards(boards_of(make_runs, **pictured(dataset)))
    assert cards.pictures
    # The edit's image, its rephrase and the far question's image; the near question has the edit's own.
    assert [card.count('<img src="data:image/') for card in cards.shown] == [3] * 4


def test_pictures_of_a_dataset_that_has_changed_are_not_shown(make_runs: Any, dataset: Path) -> None:
    plan = pictured(dataset)
    plan["settings"]["dataset_digest"] = "another"
    assert not make_cards(boards_of(make_runs, **plan)).pictures


@pytest.mark.parametrize("name", ["no/such/folder", "user/dataset", "user/dataset@main", ".", "x"])
def test_without_the_dataset_there_are_no_pictures_and_no_requests(
    name: str, make_runs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a report asks no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    [run] = make_runs(skills={"good": 1.0}, settings={"dataset": name})["vqa"]
    assert find_cases(run.header.settings) == {}
