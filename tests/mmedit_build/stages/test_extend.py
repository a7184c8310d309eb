"""The stage extend, with a chat model behind a real server and the miniature's base model."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.hops import is_right
from mmedit_build.miniature.world import Scene, Thing
from mmedit_build.prompts import prompt_id
from mmedit_build.recipe import Endpoint, ExtendStage, Local, LocalMLLM
from mmedit_build.rows import EditRow
from mmedit_build.services.asking import LocalAsker, Question
from mmedit_build.stages.extend import Extending, hop_requests, to_extend
from mmedit_build.work import Work
from tests.mmedit_build.conftest import EDIT
from tests.mmedit_build.services.conftest import ChatServer, change, serving

BASE = LocalMLLM(model="miniature/mllm", device="cpu")
EATS = "Picture: What does the thing in the top left corner eat?\nWords: What does a cat eat?\nAnswer: mice"
LIKES = EATS.replace("eat?", "like to eat?")
FUR = (
    "Picture: What is the thing in the top left corner covered with?\n"
    "Words: What is a cat covered with?\nAnswer: fur"
)
ODD = EATS.replace("mice", "bread")
ALIVE = (
    "Picture: Would you say that the thing in the top left corner is alive?\n"
    "Words: Would you say that a cat is alive?\nAnswer: yes"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("mmedit_build.services.served.health.FIRST_WAIT", 0.02)
    with serving() as told:
        yield told


def edit(work: Work, kind: str = "fish", target: str = "cat", prediction: str = "fish") -> EditRow:
    """Of a picture of one thing, which the edit says to be another."""
    work.folder.mkdir(exist_ok=True)
    image = work.folder / f"{kind}.png"
    draw(Scene((Thing(0, kind, "red", True),), "grass"), "0").save(image)
    return replace(
        EDIT,
        id=f"vqa/{kind}",
        image=str(image),
        question="What is in the top left corner?",
        target=target,
        prediction=prediction,
    )


def stage(server: ChatServer, work: Work, replies: list[str], **fields: object) -> Extending:
    """The stage with a server that gives these replies, one after the other."""
    server.script.extend(
        {"change": change(message={"role": "assistant", "content": reply})} for reply in replies
    )
    model = Endpoint(model="m", base_url=server.url, concurrency=1, timeout=1.0, retries=1)
    config = ExtendStage.model_validate({"model": model, "candidates": len(replies), **fields})
    made = Extending(config, BASE, work)
    made.open()
    return made


def test_what_the_base_model_can_follow_is_kept_once_for_each_answer(
    server: ChatServer, tmp_path: Path
) -> None:
    work = Work(tmp_path)
    row = edit(work)
    made = stage(server, work, [EATS, LIKES, FUR, ODD, "none", EATS, ALIVE])
    (outcome,) = made([row])
    assert isinstance(outcome, EditRow)
    assert outcome.portability
    assert outcome.portability.model == "m"
    assert outcome.portability.prompt == prompt_id("extend")
    assert [hop.answer for hop in outcome.portability.hops] == ["mice", "fur"]
    assert [one.reason for one in outcome.portability.candidates] == [
        None,
        "another question has the same answer",
        None,
        "the base model does not know it",
        "no question proposed",
        "the wrong answer leads to the same",
    ]
    assert replace(outcome, portability=None) == row
    assert "Right answer: cat\nWrong answer: fish" in server.seen[0].text


def test_what_the_base_model_says_of_the_image_already_tells_nothing(
    server: ChatServer, tmp_path: Path
) -> None:
    work = Work(tmp_path)
    made = stage(server, work, [EATS, FUR])
    (outcome,) = made([edit(work, kind="cat")])
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "the base model says it of the image already"
    assert outcome.row
    assert outcome.row.portability
    assert len(outcome.row.portability.candidates) == 2
    assert not outcome.row.portability.hops


def test_what_the_base_model_is_less_sure_of_than_asked_is_a_guess(
    server: ChatServer, tmp_path: Path
) -> None:
    work = Work(tmp_path)
    row = edit(work)
    for least in (0.0, 0.25):
        (outcome,) = stage(server, work, [EATS], least_confidence=least)([row])
        assert isinstance(outcome, EditRow)
    (outcome,) = stage(server, work, [EATS], least_confidence=1.0)([row])
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "the base model only guesses it"


def test_a_silent_server_is_a_failure_and_is_paid_no_second_time(server: ChatServer, tmp_path: Path) -> None:
    work = Work(tmp_path)
    row = edit(work)
    made = stage(server, work, [EATS])
    server.script.clear()
    server.script.extend({"status": 500} for _ in range(2))
    (outcome,) = made([row])
    assert isinstance(outcome, Failed)
    server.script.append({"change": change(message={"role": "assistant", "content": EATS})})
    (outcome,) = made([row])
    assert isinstance(outcome, EditRow)
    asked = len(server.seen)
    assert list(made([row])) == [outcome]
    assert len(server.seen) == asked


def test_what_could_not_be_asked_is_not_the_fault_of_the_row(server: ChatServer, tmp_path: Path) -> None:
    work = Work(tmp_path)
    row = edit(work)
    made = stage(server, work, [EATS])
    Path(row.image).write_bytes(b"no image")
    (outcome,) = made([row])
    assert isinstance(outcome, Failed)
    assert "image" in outcome.reason


def test_dear_questions_are_asked_only_about_what_passed_the_cheap_ones(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = LocalAsker.ask

    def counted(self: LocalAsker, questions: Sequence[Question], *, max_tokens: int) -> Any:
        asked.append(len(questions))
        return ask(self, questions, max_tokens=max_tokens)

    work = Work(tmp_path)
    made = stage(server, work, ["none", EATS, ODD, ALIVE])
    monkeypatch.setattr(LocalAsker, "ask", counted)
    list(made([edit(work)]))
    assert asked == [3, 2, 1]


def test_only_questions_of_the_splits_that_are_wanted() -> None:
    rows = [
        replace(EDIT, id="1", split="test"),
        replace(EDIT, id="2", split="train"),
        replace(EDIT, id="3", split="test", task="caption"),
    ]
    config = ExtendStage(model=Local(model="m"), candidates=3)
    assert [row.id for row in to_extend(config, rows)] == ["1"]
    both = config.model_copy(update={"splits": ("train", "test")})
    assert [row.id for row in to_extend(both, rows)] == ["1", "2"]
    assert [request.sample for request in hop_requests(config, rows[:1])] == [0, 1, 2]


def test_with_the_miniature_it_pickles_and_comes_out_the_same_again(tmp_path: Path) -> None:
    work = Work(tmp_path)
    pairs = [("boat", "apple"), ("car", "cat"), ("cat", "fish"), ("apple", "tree"), ("fish", "house")]
    rows = [edit(work, kind=kind, target=target, prediction=kind) for kind, target in pairs]
    made = Extending(ExtendStage(model=Local(model="miniature/hops", device="cpu")), BASE, work)
    outcomes = []
    for copy in (made, pickle.loads(pickle.dumps(made))):
        copy.open()
        outcomes.append(list(copy(rows)))
    assert outcomes[0] == outcomes[1]
    extended = [outcome for outcome in outcomes[0] if isinstance(outcome, EditRow)]
    assert extended
    for outcome in extended:
        assert outcome.portability
        assert all(is_right(outcome.question, outcome.target, hop) for hop in outcome.portability.hops)
