"""A command that is killed and given again comes to what it would have come to undisturbed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import yaml

from evaluation.evaluate import LOG
from evaluation.results import LINES, CaseResult, read_results

CODE = "import torch; torch.set_num_threads(1); from evaluation.cli import main; main()"
METHODS = {
    "mend": {"steps": 40, "validate_every": 10, "batch_size": 4},
    "ft-vision": {"steps": 6},
    "rome": {"steps": 4},
    "t-patcher": {"steps": 20},
}


def start(folder: Path, dataset: Path) -> subprocess.Popen[bytes]:
    experiment = {
        "methods": {name: {"options": options} for name, options in METHODS.items()},
        "dataset": str(dataset),
        "task": "vqa",
        "device": "cpu",
        "holdout": 0.4,
        "out": str(folder / "out"),
        "cache": str(folder / "cache"),
    }
    config = folder / "experiment.yaml"
    config.write_text(yaml.safe_dump(experiment))
    command = [sys.executable, "-c", CODE, "--config", str(config)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(command: subprocess.Popen[bytes]) -> None:
    _, told = command.communicate(timeout=300)
    assert command.returncode == 0, told.decode()


def killed_once(command: subprocess.Popen[bytes], folder: Path, pattern: str) -> bool:
    """Kill a command as soon as such a file is there; False if it was done before."""
    while not any(folder.glob(pattern)):
        if command.poll() is not None:
            return False
        time.sleep(0.005)
    command.kill()
    command.communicate()
    return command.returncode == -signal.SIGKILL


def numbers(folder: Path) -> dict[str, list[CaseResult]]:
    """All results but for times."""
    return {
        str(path.parent.relative_to(folder)): [
            replace(one, plan_seconds=0.0, probe_seconds=0.0) for one in read_results(path.parent)[1]
        ]
        for path in sorted(folder.rglob(LINES))
    }


def test_a_killed_evaluation_goes_on_to_the_same_numbers(dataset: Path, tmp_path: Path) -> None:
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for folder in (calm, rough):
        folder.mkdir()
    finish(start(calm, dataset))
    moments = (
        *("cache/fitted/mend*.work/*", "out/vqa/mend/*"),
        *("out/vqa/ft-vision/*.jsonl", "out/vqa/t-patcher/*"),
    )
    hits = [killed_once(start(rough, dataset), rough, pattern) for pattern in moments]
    assert all(hits)
    # What a kill in the midst of a line leaves behind.
    with (rough / "out/vqa/ft-vision" / LINES).open("ab") as file:
        file.write(b'{"version":1,"id":"torn')
    finish(start(rough, dataset))
    expected = numbers(calm / "out")
    assert len(expected) == 1 + len(METHODS)
    assert all(one.scored for results in expected.values() for one in results)
    assert numbers(rough / "out") == expected


def test_ctrl_c_tells_that_the_same_command_goes_on(dataset: Path, tmp_path: Path) -> None:
    command = start(tmp_path, dataset)
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
