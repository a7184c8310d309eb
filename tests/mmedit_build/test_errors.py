from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mmedit_build.errors import UserError, check_name, run_app


def test_a_user_error_is_its_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def app() -> None:
        raise UserError("There is no file x; give one.")

    with pytest.raises(SystemExit) as caught:
        run_app(app)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "Error: There is no file x; give one.\n")


def test_a_sentence_is_one_line_whatever_names_are_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    def app() -> None:
        raise UserError(f"There is no file a\nb{'c' * 5000}; give one.")

    with pytest.raises(SystemExit):
        run_app(app)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert len(told) < 2000
    assert told.startswith("Error: There is no file a bccc")
    assert told.endswith("ccc; give one.\n")


@pytest.mark.parametrize(
    ("name", "listing", "told"),
    [
        ("vga", "", "There is no task 'vga'; did you mean 'vqa'? There are: vqa, caption."),
        ("Caption", "", "There is no task 'Caption'; did you mean 'caption'? There are: vqa, caption."),
        ("zebra", "", "There is no task 'zebra'; there are: vqa, caption."),
        ("vga", "x list", "There is no task 'vga'; did you mean 'vqa'? `x list` shows what there is."),
        ("zebra", "x list", "There is no task 'zebra'; `x list` shows what there is."),
    ],
)
def test_only_a_name_that_is_near_is_suggested(name: str, listing: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        check_name("task", name, ("vqa", "caption"), listing)
    assert str(caught.value) == told


def test_names_that_share_a_few_letters_are_not_near() -> None:
    with pytest.raises(UserError, match="There is no method 'zebra'; there are: serac"):
        check_name("method", "zebra", ("serac", "mend"))


def test_of_no_names_none_is_suggested() -> None:
    with pytest.raises(UserError, match=r"There is no task 'vqa'; there are: none\."):
        check_name("task", "vqa", ())


def test_a_bug_stays_a_bug() -> None:
    def app() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_app(app)


def test_letters_that_a_pipe_lacks_do_not_end_a_command() -> None:
    code = "from mmedit_build.errors import run_app; run_app(lambda: print('caf\\xe9'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert (done.returncode, done.stdout) == (0, "caf\\xe9\n"), done.stderr
