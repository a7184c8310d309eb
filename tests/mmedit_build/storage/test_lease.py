"""Only one command at a time is at work in a folder of storage, whatever machine it is on."""

from __future__ import annotations

import json
import time

import pytest

from mmedit_build.errors import UserError
from mmedit_build.storage import lease as module
from mmedit_build.storage.lease import Lease
from mmedit_build.storage.remote import Remote

BUSY = "Another command is at work in s3://b/run; wait for it."


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.1)
    monkeypatch.setattr(module, "SETTLE", 0.05)


@pytest.fixture
def remote(place: str) -> tuple[Remote, str]:
    scheme, _, name = place.partition("://")
    return Remote(scheme), f"{name}/run/.mmedit-lock"


def test_a_second_command_is_refused_until_the_first_has_ended(remote: tuple[Remote, str]) -> None:
    first, second = Lease(*remote, BUSY), Lease(*remote, BUSY)
    first.take()
    with pytest.raises(UserError, match=f"^{BUSY} It is process [0-9]+ on "):
        second.take()
    first.release()
    second.take()
    second.release()
    assert remote[0].read(remote[1]) is None


def test_what_a_killed_command_of_another_machine_left_is_taken_over(remote: tuple[Remote, str]) -> None:
    remote[0].create(remote[1], json.dumps({"owner": "gone", "host": "elsewhere", "process": 1}).encode())
    lease = Lease(*remote, BUSY)
    begun = time.monotonic()
    lease.take()
    assert time.monotonic() - begun >= 3 * module.BEAT
    lease.check()
    lease.release()


def test_of_a_dead_process_of_this_machine_nothing_is_waited_for(
    remote: tuple[Remote, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT", 60.0)
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    remote[0].create(remote[1], json.dumps({"owner": "gone", "host": "here", "process": 2**22 + 1}).encode())
    lease = Lease(*remote, BUSY)
    lease.take()
    lease.release()


@pytest.mark.parametrize("left", [b"", b"[1]", b'{"owner": 3, "process": "x"}'])
def test_a_broken_file_is_that_of_a_killed_command(remote: tuple[Remote, str], left: bytes) -> None:
    remote[0].create(remote[1], left)
    lease = Lease(*remote, BUSY)
    lease.take()
    lease.release()


def test_who_was_taken_for_dead_hears_of_it(remote: tuple[Remote, str]) -> None:
    lease = Lease(*remote, BUSY)
    lease.take()
    remote[0].write(remote[1], json.dumps({"owner": "other"}).encode())
    deadline = time.monotonic() + 5
    while not lease.lost and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(UserError, match="Another command took over"):
        lease.check()
    lease.release()
    # The other one's.
    assert remote[0].read(remote[1]) is not None
