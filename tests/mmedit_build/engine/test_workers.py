"""Workers in processes of their own end with the command that started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SLEEPING = """
import sys, time
from pathlib import Path
from mmedit_build.engine.local import Local
from mmedit_build.engine.run import Job, run
from mmedit_build.rows import Candidate
from tests.mmedit_build.engine.conftest import Number

class Sleeping:
    def devices(self):
        return ()
    def open(self):
        import os
        Path(sys.argv[1], str(os.getpid())).touch()
    def __call__(self, rows):
        time.sleep(120)
        return rows

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    job = Job(folder / "work", Sleeping(), [Number(str(n), n) for n in range(4)], Number, {}, 1)
    try:
        run(job, Local(2), retry_failed=False, advance=lambda number, tally: None)
    except KeyboardInterrupt:
        sys.exit("stopped")
"""


class Sleepers:
    """A command with two workers, in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        script = folder / "sleeping.py"
        script.write_text(SLEEPING)
        self._pids = folder / "pids"
        self._pids.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        self.parent = subprocess.Popen(
            [sys.executable, script, self._pids],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> None:
        """Whatever is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.parent.pid, signal.SIGKILL)
        self.parent.communicate()

    def at_work(self) -> list[int]:
        """The workers that have opened their stage."""
        return [int(path.name) for path in self._pids.iterdir() if path.is_file()]

    def started(self) -> list[int]:
        """All processes that the command started, workers or not."""
        children = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Sleepers]:
    command = Sleepers(tmp_path)
    yield command
    command.end()


def test_workers_end_with_a_parent_that_is_killed(sleepers: Sleepers) -> None:
    wait_until(lambda: len(sleepers.at_work()) == 2)
    sleepers.parent.kill()
    sleepers.parent.wait()
    wait_until(lambda: not any(map(alive, sleepers.at_work())))


@pytest.mark.parametrize("loaded", [False, True])
def test_an_interrupt_from_the_terminal_ends_workers_without_a_word(sleepers: Sleepers, loaded: bool) -> None:
    # With the workers, there is the process that cleans up after them.
    wait_until(lambda: len(sleepers.at_work() if loaded else sleepers.started()) == (2 if loaded else 3))
    started = sleepers.started()
    time.sleep(0.0 if loaded else 0.3)
    os.killpg(sleepers.parent.pid, signal.SIGINT)
    _, words = sleepers.parent.communicate(timeout=60)
    assert words == "stopped\n"
    wait_until(lambda: not any(map(alive, started)))


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
