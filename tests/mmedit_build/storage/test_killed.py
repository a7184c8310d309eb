"""Commands in storage that are killed at random, each time to go on on another machine."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mmedit_build.storage import lease
from tests.mmedit_build.engine.conftest import Number, numbers
from tests.mmedit_build.storage.working import ROWS, work

KILLS = int(os.environ.get("MMEDIT_KILLS", "4"))
"""As many as are wanted; each takes about a second."""


@pytest.mark.timeout(60 + 10 * KILLS)
def test_nothing_is_lost_wherever_a_command_goes_on(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines take turns; the one that is killed may not have sent its last half second."""
    rng, paid = random.Random(0), tmp_path / "paid"
    paid.touch()
    homes = [tmp_path / "one", tmp_path / "other"]
    command = [sys.executable, "-m", "tests.mmedit_build.storage.working", f"{bucket}/run", str(paid)]
    killed_at_work = 0
    for turn in range(KILLS):
        environment = {**os.environ, "MMEDIT_STORAGE": str(homes[turn % 2])}
        killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        before = len(paid.read_text().split())
        while killed.poll() is None and len(paid.read_text().split()) == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.6 * 30 / max(30, KILLS)))
        killed.kill()
        killed_at_work += killed.wait() != 0
    monkeypatch.setenv("MMEDIT_STORAGE", str(homes[KILLS % 2]))
    monkeypatch.setattr(lease, "SETTLE", 0.05)
    assert work(f"{bucket}/run", paid) == [Number(row.id, row.value + 1) for row in numbers(ROWS)]
    times = Counter(paid.read_text().split())
    assert set(times) == {row.id for row in numbers(ROWS)}
    # What a machine paid for and had not sent when it was killed is its own until it is at work again.
    print(f"{killed_at_work} killed, {sum(times.values()) - ROWS} of {ROWS} paid again")  # noqa: T201
    assert killed_at_work > 0


@pytest.mark.timeout(120)
def test_a_machine_that_is_taken_away_with_notice_leaves_all(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = tmp_path / "paid"
    paid.touch()
    command = [sys.executable, "-m", "tests.mmedit_build.storage.working", f"{bucket}/run", str(paid)]
    environment = {**os.environ, "MMEDIT_STORAGE": str(tmp_path / "one"), "PAUSE": "60"}
    first = subprocess.Popen(command, env=environment)
    while not paid.read_text():
        time.sleep(0.01)
    first.terminate()
    assert first.wait() == 128 + signal.SIGTERM
    assert 0 < len(paid.read_text().split()) < ROWS
    monkeypatch.setenv("MMEDIT_STORAGE", str(tmp_path / "other"))
    assert len(work(f"{bucket}/run", paid)) == ROWS
    assert len(paid.read_text().split()) == ROWS
