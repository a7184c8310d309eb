"""The command `mmedit-build review` without its page: what it shows, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.errors import UserError
from mmedit_build.review.answers import open_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.review.order import drawn
from tests.mmedit_build.review.conftest import Drawn, MakeDrawn


def say(build: Drawn, who: str, errors: float) -> None:
    said = build.judged_by(who, errors)
    with open_answers(build.work, who) as answers:
        for edit in drawn(build.edits):
            for asked in asked_of(edit):
                answers.give(asked, said[asked.of])


def test_what_people_found_is_shown(make_drawn: MakeDrawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    build = make_drawn(20)
    say(build, "ada", 0.0)
    say(build, "ben", 0.1)
    done = CliRunner().invoke(app, ["review", str(build.work.folder), "--show"], catch_exceptions=False)
    lines = [line.split() for line in done.stdout.replace("\u2502", " ").splitlines()]
    counts = [line for line in lines if line[:1] == ["ada"]]
    assert [sum(map(int, line[1:])) for line in counts] == [80]
    wrong = [line for line in lines if line[:2] == ["painting", "test"]]
    truths = [
        build.truth(edit, one)
        for edit in build.edits
        for one in asked_of(edit)
        if one.question == "painting" and edit.split == "test"
    ]
    assert wrong[0][2:5] == ["10", "10", str(truths.count(False))]
    assert "Something is refused where more of them say no than yes." in done.stdout
    assert "Agreement" in done.stdout


def test_of_one_person_there_is_no_agreement(make_drawn: MakeDrawn) -> None:
    build = make_drawn(4)
    say(build, "ada", 0.0)
    done = CliRunner().invoke(app, ["review", str(build.work.folder), "--show"], catch_exceptions=False)
    assert "Krippendorff" not in done.stdout
    assert "Nothing was judged by two people yet" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say who you are with --who NAME"),
        (["--show"], "Nobody has judged a row"),
        (["--who", "../ada"], "cannot be a name of a reviewer"),
        (["--who", "ada", "--split", "tset"], "There is no split 'tset'; did you mean 'test'?"),
        (
            ["--who", "ada", "--ask", "failure,paint"],
            "There is no question of a review 'paint'; did you mean 'painting'",
        ),
    ],
)
def test_mistakes_are_one_sentence(make_drawn: MakeDrawn, arguments: list[str], sentence: str) -> None:
    build = make_drawn(2)
    with pytest.raises(UserError, match=sentence):
        CliRunner().invoke(app, ["review", str(build.work.folder), *arguments], catch_exceptions=False)


def test_a_folder_without_finished_edits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished edits"):
        CliRunner().invoke(app, ["review", str(tmp_path), "--who", "ada"], catch_exceptions=False)
