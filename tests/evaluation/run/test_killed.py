"""A command that is interrupted and given again comes to what it would have come to undisturbed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.run.evaluate import LOG
from tests.kills.judging import evaluation
from tests.kills.rounds import kill_evenly
from tests.kills.streaming import streams

CODE = "import torch; torch.set_num_threads(1); from evaluation.cli import main; main()"
WANTED = frozenset({"asking", "ft-vision", "mend learns", "mend", "t-patcher", "report"})
"""`python -m tests.kills evaluation` kills it everywhere."""


@pytest.mark.timeout(300)
def test_a_killed_evaluation_goes_on_to_the_same_numbers(dataset: Path, tmp_path: Path) -> None:
    count = kill_evenly(evaluation(dataset), tmp_path, 1, wanted=WANTED)
    assert count.kills >= 5, count.told()
    assert not count.damage.any, count.told()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stream", ["1,3", "liveedit"])
def test_killed_streams_go_on_to_the_same_numbers(dataset: Path, tmp_path: Path, stream: str) -> None:
    methods = ("ft", "t-patcher")
    subject = streams(dataset, stream, methods=methods)
    count = kill_evenly(subject, tmp_path, 1, wanted=frozenset(methods))
    assert count.kills >= 2, count.told()
    assert not count.damage.any, count.told()


def test_ctrl_c_tells_that_the_same_command_goes_on(dataset: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", CODE, *evaluation(dataset).words(tmp_path)]
    command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not any(tmp_path.glob("out/vqa/ft-vision/*.jsonl")):
        assert command.poll() is None
        time.sleep(0.005)
    command.send_signal(signal.SIGINT)
    _, told = command.communicate(timeout=60)
    lines = told.decode().splitlines()
    assert (command.returncode, lines[-1]) == (130, "Stopped. The same command goes on where it stopped.")
    # stderr is a file here, so progress came as lines, and it is in the log too.
    assert "vqa: ft-vision: 0 of 4" in lines
    asked = r" INFO vqa: asking the unedited model: 24 of 24 in 0:0\d:\d\d"
    assert re.search(asked, (tmp_path / "out" / LOG).read_text())
