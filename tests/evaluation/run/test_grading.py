"""Free answers judged by a served model: over real HTTP, with whatever goes wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from evaluation.results.records import ResultFolder, read_results
from evaluation.results.verdicts import FILE, Said, Verdict, verdict_lines
from evaluation.run.grading import Graded, expected, grade, runs_in, verdict_of, wanted
from mmedit_build.errors import UserError
from mmedit_build.prompts import prompt_id
from mmedit_build.recipe import Endpoint, Local, Price
from tests.evaluation.judged import Row, write_run
from tests.mmedit_build.services.conftest import (
    KEY,
    ChatServer,
    Seen,
    _fast_and_direct,
    change,
    chat_server,
    unused_url,
)

__all__ = ["_fast_and_direct", "chat_server", "unused_url"]

FT: list[list[Row]] = [
    [("reliability", "what color?", "red"), ("image_locality", "what size?", "red")],
    [("reliability", "what color?", "a red one"), ("text_generality", "which color?", "green")],
]
IKE: list[list[Row]] = [
    [("reliability", "what color?", "red"), ("image_locality", "what size?", "big")],
    [("reliability", "what color?", "blue"), ("text_generality", "which color?", "green")],
]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    out = tmp_path / "out"
    return [write_run(out, "ft", FT), write_run(out, "ike", IKE)]


@pytest.fixture
def judge(chat_server: ChatServer) -> Endpoint:
    """A judge that calls right what holds the word red, for as long as its script is empty."""
    chat_server.judge = lambda seen: None if chat_server.script else says(seen)
    return Endpoint(model="sage", base_url=chat_server.url, timeout=1.0, retries=1)


def says(seen: Seen) -> dict[str, Any]:
    answer = seen.text.split("<<<\n")[1].split("\n>>>")[0]
    return word("right" if "red" in answer else "wrong")


def word(text: str) -> dict[str, Any]:
    return {"change": change(message={"role": "assistant", "content": text})}


def silent(_: str, total: int | None) -> AbstractContextManager[Callable[..., None]]:  # noqa: ARG001
    @contextmanager
    def shown() -> Iterator[Callable[..., None]]:
        yield lambda *_: None

    return shown()


def run(judge: Endpoint | Local, runs: list[Path]) -> Graded:
    return grade(judge, runs, runs[0].parent / "cache", silent)


def verdicts(folder: Path) -> dict[Said, bool | None]:
    return {one.said: one.right for one in verdict_lines(folder).read()}


def test_equal_answers_are_asked_once_and_stand_beside_every_run(
    judge: Endpoint, runs: list[Path], chat_server: ChatServer
) -> None:
    before = [read_results(folder) for folder in runs]
    assert run(judge, runs) == Graded(verdicts=4)
    assert len(chat_server.seen) == 4
    assert verdicts(runs[0]) == {
        Said("what color?", "red", "red"): True,
        Said("what color?", "red", "a red one"): True,
        Said("which color?", "red", "green"): False,
    }
    assert verdicts(runs[1]) == {
        Said("what color?", "red", "red"): True,
        Said("what color?", "red", "blue"): False,
        Said("which color?", "red", "green"): False,
    }
    assert [read_results(folder) for folder in runs] == before
    assert {seen.body["temperature"] for seen in chat_server.seen} == {0.0}
    first = verdict_lines(runs[0]).read()[0]
    assert (first.judge, first.prompt, first.raw) == ("sage", prompt_id("grade"), "right")


def test_what_is_there_is_not_asked_again(judge: Endpoint, runs: list[Path], chat_server: ChatServer) -> None:
    run(judge, runs)
    assert run(judge, runs) == Graded()
    (runs[1] / FILE).unlink()
    # From the cache: the verdicts are written anew, and nothing is paid.
    assert run(judge, runs) == Graded(verdicts=3)
    assert len(chat_server.seen) == 4


def test_a_killed_pass_goes_on_after_its_last_whole_line(
    judge: Endpoint, runs: list[Path], chat_server: ChatServer
) -> None:
    run(judge, runs)
    whole = (runs[0] / FILE).read_bytes()
    (runs[0] / FILE).write_bytes(whole[:-20])
    assert run(judge, runs) == Graded(verdicts=1)
    assert (runs[0] / FILE).read_bytes() == whole
    assert len(chat_server.seen) == 4


def test_a_failed_judgement_is_missing_and_asked_for_again(
    judge: Endpoint, runs: list[Path], chat_server: ChatServer
) -> None:
    answer = chat_server.judge

    def moody(seen: Seen) -> dict[str, Any] | None:
        return {"status": 400, "body": "{}"} if "a red one" in seen.text else answer(seen)

    chat_server.judge = moody
    done = run(judge, runs)
    assert done.verdicts == 3
    assert sum(done.missing.values()) == 1
    assert Said("what color?", "red", "a red one") not in verdicts(runs[0])
    chat_server.judge = answer
    assert run(judge, runs) == Graded(verdicts=1)
    assert verdicts(runs[0])[Said("what color?", "red", "a red one")] is True


def test_an_unclear_verdict_is_kept_as_it_came_and_is_none(
    judge: Endpoint, runs: list[Path], chat_server: ChatServer
) -> None:
    chat_server.judge = lambda _: word("It depends.")
    assert run(judge, runs) == Graded(verdicts=4, unclear=4)
    assert {one.right for one in verdict_lines(runs[0]).read()} == {None}
    assert {one.raw for one in verdict_lines(runs[0]).read()} == {"It depends."}


def test_a_server_that_is_not_there_is_told_and_leaves_no_verdict(runs: list[Path], unused_url: str) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1"):
        run(Endpoint(model="sage", base_url=unused_url, timeout=1.0, retries=1), runs)
    assert not (runs[0] / FILE).exists()


def test_the_key_is_sent_and_lies_in_no_file(
    judge: Endpoint,
    runs: list[Path],
    chat_server: ChatServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat_server.judge = lambda _: word(f"right {KEY}")
    run(judge, runs)
    assert chat_server.seen[0].authorization == f"Bearer {KEY}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_another_judge_or_prompt_is_never_mixed_in(judge: Endpoint, runs: list[Path]) -> None:
    run(judge, runs)
    with pytest.raises(
        UserError, match=f"{FILE} holds verdicts of sage by the prompt grade#.*, not of fool by"
    ):
        run(judge.model_copy(update={"model": "fool"}), runs)
    (runs[0] / FILE).unlink()
    other = Verdict(judge="sage", prompt="grade#0", question="", target="", answer="", raw="", right=True)
    verdict_lines(runs[0]).add(other)
    with pytest.raises(UserError, match="delete that file to have all judged anew"):
        run(judge, runs)


def test_nobody_else_writes_meanwhile(judge: Endpoint, runs: list[Path]) -> None:
    with ResultFolder(runs[1]).locked(), pytest.raises(UserError, match="Another command is writing"):
        run(judge, runs)


def test_the_cost_is_known_before(judge: Endpoint, runs: list[Path], chat_server: ChatServer) -> None:
    priced = judge.model_copy(update={"price": Price(input=1e6, output=0)})
    cache = runs[0].parent / "cache"
    will = expected(priced, wanted(runs, "sage"), cache)
    assert will.requests == 4
    assert will.cost == will.input_tokens
    assert chat_server.seen == []
    run(judge, runs)
    (runs[0] / FILE).unlink()
    assert len(wanted(runs, "sage")) == 3
    assert expected(priced, wanted(runs, "sage"), cache).requests == 0


def test_a_ceiling_holds(judge: Endpoint, runs: list[Path], chat_server: ChatServer) -> None:
    dear = judge.model_copy(update={"price": Price(input=1e6, output=1e6), "max_cost": 1.0})
    with pytest.raises(UserError, match="max_cost"):
        run(dear, runs)
    assert chat_server.seen == []


def test_a_model_in_this_process_may_judge_and_be_unclear(runs: list[Path]) -> None:
    done = run(Local(model="miniature/chat", device="cpu"), runs)
    # It has learned to rephrase, not to judge.
    assert done.verdicts + sum(done.missing.values()) == 4
    assert done.unclear == done.verdicts


def test_captions_locality_and_gain_are_not_judged(tmp_path: Path) -> None:
    rows: list[list[Row]] = [
        [("reliability", "a photo of", "a red cat"), ("portability", "who?", "red"), ("gain", "why?", "red")]
    ]
    folder = write_run(tmp_path, "ft", rows, task="caption")
    assert [*wanted([folder], "sage")] == [Said("who?", "red", "red")]


def test_runs_are_found_below_folders(runs: list[Path], tmp_path: Path) -> None:
    assert runs_in([tmp_path]) == runs_in(runs) == runs
    with pytest.raises(UserError, match="There are no results in"):
        runs_in([tmp_path / "none"])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("right", True),
        ("Wrong.", False),
        (" **Right**\n", True),
        ("right. It names the color.", True),
        ("<think>It could be wrong.</think>\nright", True),
        ("right or wrong", None),
        ("Right, not wrong", None),
        ("It is right", None),
        ("not right", None),
        ("rightful", None),
        ("correct", None),
        ("", None),
    ],
)
def test_only_a_clear_word_is_a_verdict(reply: str, expected: bool | None) -> None:
    assert verdict_of(reply) is expected
