"""Answers on disk: nothing acknowledged is lost, and nobody gets in another's way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.review.answers import folder_of, open_answers, read_answers
from mmedit_build.review.asked import Asked
from mmedit_build.work import Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


def asked(number: int) -> Asked:
    return Asked("failure", f"row/{number}", f"{number:016x}")


ONE, TWO = asked(1), asked(2)


def test_answers_are_there_again_and_the_last_one_counts(work: Work) -> None:
    with open_answers(work, "ada") as answers:
        answers.give(ONE, "yes")
        answers.give(TWO, "unsure")
        answers.give(ONE, "no")
    with open_answers(work, "ada") as answers:
        assert answers.said == {ONE.of: "no", TWO.of: "unsure"}
    assert read_answers(work) == {"ada": {ONE.of: "no", TWO.of: "unsure"}}


def test_undoing_goes_back_step_by_step_over_a_restart(work: Work) -> None:
    with open_answers(work, "ada") as answers:
        answers.give(ONE, "yes")
        answers.give(ONE, "no")
        answers.give(TWO, "no")
        undone = answers.undo()
        assert undone is not None
        assert undone.of == TWO.of
    with open_answers(work, "ada") as answers:
        assert answers.said == {ONE.of: "no"}
        answers.undo()
        assert answers.said == {ONE.of: "yes"}
        answers.undo()
        assert answers.said == {}
        assert answers.undo() is None
        answers.give(TWO, "yes")
    assert read_answers(work) == {"ada": {TWO.of: "yes"}}


def test_half_a_line_says_nothing_and_the_next_answer_takes_its_place(work: Work) -> None:
    with open_answers(work, "ada") as answers:
        answers.give(ONE, "yes")
    path = folder_of(work) / "ada.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-7])
    assert read_answers(work) == {"ada": {ONE.of: "yes"}}
    with open_answers(work, "ada") as answers:
        answers.give(TWO, "no")
    assert path.read_bytes().startswith(whole)
    assert len(path.read_bytes().splitlines()) == 2
    assert read_answers(work) == {"ada": {ONE.of: "yes", TWO.of: "no"}}


def test_a_full_disk_keeps_what_was_there_and_says_so(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_answers(work, "ada") as answers:
        answers.give(ONE, "yes")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(UserError, match=r"not kept.*No space left on device.*answer again"):
                answers.give(TWO, "no")
        assert answers.said == {ONE.of: "yes"}
        assert read_answers(work) == {"ada": {ONE.of: "yes"}}
        answers.give(TWO, "unsure")
    assert read_answers(work) == {"ada": {ONE.of: "yes", TWO.of: "unsure"}}


def test_two_people_have_files_of_their_own_and_nobody_can_be_two(work: Work) -> None:
    with open_answers(work, "ada") as ada, open_answers(work, "ben") as ben:
        ada.give(ONE, "yes")
        ben.give(ONE, "no")
        with (
            pytest.raises(UserError, match=r"ada is reviewing .* in another process"),
            open_answers(work, "ada"),
        ):
            pass
    assert read_answers(work) == {"ada": {ONE.of: "yes"}, "ben": {ONE.of: "no"}}


@pytest.mark.parametrize("who", ["", "../ada", "a/b", ".ada", "a" * 61, "ada\n", "a\0b"])
def test_a_name_that_is_a_path_is_refused(work: Work, who: str) -> None:
    with pytest.raises(UserError, match="cannot be a name of a reviewer"), open_answers(work, who):
        pass
    assert not work.folder.exists()


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"question": "taste"}\n', b"\xff\n"])
def test_a_line_that_is_no_answer_is_named(work: Work, line: bytes) -> None:
    with open_answers(work, "ada") as answers:
        answers.give(ONE, "yes")
    path = folder_of(work) / "ada.jsonl"
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(UserError, match=r"Line 2 of .*ada\.jsonl is no answer"):
        read_answers(work)


def test_there_is_nothing_where_nobody_said_anything(work: Work) -> None:
    assert read_answers(work) == {}
    with open_answers(work, "ada"):
        assert read_answers(work) == {}
