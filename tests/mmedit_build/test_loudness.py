"""How much commands say, and the codes that they end with: as real processes, as users have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORK = '''
import logging, os, signal, sys
from pathlib import Path
from mmedit_build.console import log_to, progress
from mmedit_build.errors import UserError, resumable, run_app
from mmedit_build.loudness import App

app = App()

@app.callback()
def about() -> None:
    """Works."""

@app.command()
def work(how: str = "well") -> None:
    with resumable(), log_to(Path("log.txt")), progress("working", 2) as advance:
        logging.getLogger("mmedit_build.work").warning("row 1 was skipped")
        advance(2)
        if how == "mistaken":
            raise UserError("There is no such row.")
        if how == "stopped":
            os.kill(os.getpid(), signal.SIGINT)
        if how == "broken":
            raise ZeroDivisionError("a bug")
    print("result")

@app.command()
def other() -> None:
    if not Path("never").exists():
        os.kill(os.getpid(), signal.SIGINT)

run_app(app)
'''
SKIPPED = "row 1 was skipped"
PROGRESS = "working: 2 of 2 in "


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(WORK)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "script.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ([], [PROGRESS], [SKIPPED]),
        (["-q"], [], [PROGRESS, SKIPPED]),
        (["--verbose"], [PROGRESS, SKIPPED], []),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_loudness_is_of_stderr_alone(
    script: Path, options: list[str], said: list[str], unsaid: list[str], *, before: bool
) -> None:
    done = run(script, *([*options, "work"] if before else ["work", *options]))
    assert (done.returncode, done.stdout) == (0, "result\n")
    assert [line for line in (PROGRESS, SKIPPED) if line in done.stderr] == said
    assert not any(line in done.stderr for line in unsaid)
    # Each once, without anything that belongs on a terminal.
    assert all(done.stderr.count(line) == 1 for line in said)
    assert "\x1b" not in done.stderr
    log = (script / "log.txt").read_text()
    assert PROGRESS in log
    assert SKIPPED in log


def test_nobody_hears_less_and_more(script: Path) -> None:
    done = run(script, "-q", "work", "-v")
    assert done.returncode == 2
    assert "not both" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["work"], 0, ""),
        (["work", "--how", "broken"], 1, "ZeroDivisionError"),
        (["work", "--how", "mistaken"], 2, "Error: There is no such row.\n"),
        (["work", "--how", "mistaken", "-q"], 2, "Error: There is no such row.\n"),
        (["work", "--hwo", "well"], 2, "has no option --hwo; did you mean --how?"),
        (["wrok"], 2, "No such command"),
        (["work", "--how", "stopped"], 130, "The same command goes on"),
        (["other"], 130, ""),
    ],
)
def test_codes_are_those_of_the_documentation(
    script: Path, arguments: list[str], code: int, told: str
) -> None:
    done = run(script, *arguments)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert ("Traceback" in done.stderr) is (code == 1)
