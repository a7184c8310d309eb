"""The cache of paid replies: whole after a kill, shared by processes, clear about its faults."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.cache import Cache, Spent, request_key, stored_keys

MODEL = Endpoint(model="m", base_url="http://localhost:1/v1")
REQUEST = ChatRequest((Message("user", "what?", b"image"),), 1.0, 64)
REPLY = Reply("thät \N{GRINNING FACE}", 0.5, 10, 5, cached=False)
WORST = Spent(1, 100, 64)
WRITER = """
import itertools, sys
from pathlib import Path
from mmedit_build.services.served.cache import Cache
from mmedit_build.services.chat import ChatRequest, Message, Reply

cache = Cache(Path(sys.argv[1]))
for number in itertools.count():
    name = f"{sys.argv[2]} {number}"
    cache.put(name, "e", ChatRequest((Message("user", name),), 1.0, 64), Reply(name, None, 1, 1, False))
    print(name, flush=True)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "folder" / "requests.sqlite")


def test_a_reply_comes_back_marked_as_paid_before(cache: Cache) -> None:
    assert cache.get("k") is None
    cache.put("k", "e", REQUEST, REPLY)
    assert Cache(cache.path).get("k") == Reply(REPLY.text, 0.5, 10, 5, cached=True)


def test_all_who_share_a_cache_keep_one_pace(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("mmedit_build.services.served.cache.time.time", lambda: clock[0])
    both, begun = (cache, Cache(cache.path)), 0
    for tick in range(601):
        clock[0] = 1000.0 + tick / 10
        begun += both[tick % 2].claim(f"k{tick}", "e", WORST, per_minute=120) == "mine"
    assert begun == 121
    assert both[0].claim("other", "another endpoint", WORST, per_minute=120) == "mine"
    # Who was away for long does not catch up with all of it.
    clock[0] += 3600
    assert sum(cache.claim(f"late {n}", "e", WORST, per_minute=120) == "mine" for n in range(10)) == 3


def test_every_part_of_a_request_is_in_its_key() -> None:
    message = REQUEST.messages[0]
    others = [
        ChatRequest((Message("system", message.text, message.image),), 1.0, 64),
        ChatRequest((Message("user", "what", message.image),), 1.0, 64),
        ChatRequest((Message("user", message.text, b"other"),), 1.0, 64),
        ChatRequest((Message("user", message.text),), 1.0, 64),
        ChatRequest((message, message), 1.0, 64),
        ChatRequest(REQUEST.messages, 0.9, 64),
        ChatRequest(REQUEST.messages, 1.0, 65),
        ChatRequest(REQUEST.messages, 1.0, 64, sample=1),
        ChatRequest(REQUEST.messages, 1.0, 64, logprobs=True),
    ]
    models = [
        MODEL,
        MODEL.model_copy(update={"model": "n"}),
        MODEL.model_copy(update={"base_url": "http://b/v1"}),
    ]
    keys = [request_key(model, request) for model in models for request in (REQUEST, *others)]
    assert len(set(keys)) == len(keys)
    slash = MODEL.model_copy(update={"base_url": "http://localhost:1/v1/", "concurrency": 3, "retries": 0})
    assert request_key(slash, REQUEST) == request_key(MODEL, REQUEST)


def test_a_claim_holds_off_others_until_it_ends(cache: Cache) -> None:
    other = Cache(cache.path)
    assert cache.claim("k", "e", WORST) == "mine"
    assert cache.claim("k", "e", WORST) == "mine", "tried again by its owner"
    assert other.claim("k", "e", WORST) == "wait"
    assert other.claim("l", "e", WORST) == "mine"
    cache.release("k")
    assert other.claim("k", "e", WORST) == "mine"
    other.put("k", "e", REQUEST, REPLY)
    assert cache.claim("k", "e", WORST) == "wait", "its reply is there"
    assert cache.get("k")


def test_a_claim_that_nobody_renews_runs_out_and_counts_as_paid(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmedit_build.services.served.cache.LEASE_SECONDS", 0.1)
    other = Cache(cache.path)
    assert cache.claim("k", "e", WORST) == "mine"
    time.sleep(0.06)
    cache.renew()
    time.sleep(0.06)
    assert other.claim("k", "e", WORST) == "wait"
    time.sleep(0.1)
    assert other.claim("k", "e", WORST) == "mine"
    assert cache.spent("e") == WORST


def test_spending_is_summed_per_endpoint_and_bounds_claims(cache: Cache) -> None:
    cache.put("k", "e", REQUEST, REPLY)
    cache.charge("x", "e", "empty reply", (7, 3))
    cache.charge("x", "f", "empty reply", (1000, 1000))
    assert cache.spent("e") == Spent(2, 17, 8)

    def allowed(spent: Spent) -> bool:
        return spent.input_tokens <= 217

    assert cache.claim("l", "e", WORST, allowed) == "mine"
    assert cache.claim("m", "e", WORST, allowed) == "mine"
    assert cache.claim("n", "e", WORST, allowed) == "wait", "one of the others may turn out cheaper"
    cache.charge("x", "e", "cut", (101, 0))
    assert cache.claim("n", "e", WORST, allowed) == "never"


def test_what_is_abandoned_counts_as_paid_and_is_free_again(cache: Cache) -> None:
    cache.claim("k", "e", WORST)
    cache.abandon()
    assert cache.spent("e") == WORST
    assert Cache(cache.path).claim("k", "e", WORST) == "mine"


def test_a_claim_between_attempts_stands_for_no_tokens(cache: Cache) -> None:
    cache.claim("k", "e", WORST)
    cache.charge("k", "e", "timed out", (100, 64))
    assert Cache(cache.path).claim("k", "e", WORST) == "wait"
    cache.abandon()
    assert cache.spent("e") == Spent(1, 100, 64), "what was charged is not charged again"


def test_stored_keys_makes_no_file(cache: Cache, tmp_path: Path) -> None:
    cache.put("k", "e", REQUEST, REPLY)
    assert stored_keys(cache.path) == {"k"}
    assert stored_keys(tmp_path / "none.sqlite") == set()
    assert not (tmp_path / "none.sqlite").exists()


def test_what_was_put_survives_sigkill_beside_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    said = []
    for writer in writers:
        assert writer.stdout
        said += [writer.stdout.readline().strip() for _ in range(20)]
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    for writer in writers:
        assert writer.stdout
        said += [line.strip() for line in writer.stdout if line.endswith("\n")]
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
    cache = Cache(path)
    assert [name for name in said if (reply := cache.get(name)) is None or reply.text != name] == []


@pytest.mark.parametrize("damage", [b"no database at all, but long enough to be read as one" * 50, None])
def test_a_damaged_file_is_one_sentence_with_the_remedy(cache: Cache, damage: bytes | None) -> None:
    for number in range(200):
        cache.put(f"k{number}", "e", REQUEST, REPLY)
    cache.close()
    data = cache.path.read_bytes()
    # Either no database, or one with its pages overwritten from the second on.
    cache.path.write_bytes(damage or data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(UserError, match="is damaged: bring back a copy of it, or move it away") as raised:
        stored_keys(cache.path)
    assert "\n" not in str(raised.value)


def test_a_full_disk_is_one_sentence_and_loses_nothing(cache: Cache) -> None:
    cache.put("k", "e", REQUEST, REPLY)
    with sqlite3.connect(cache.path) as file:
        pages = file.execute("PRAGMA page_count").fetchone()[0]
    file.close()
    # The error that SQLite gives when the disk is full.
    cache._file.execute(f"PRAGMA max_page_count = {pages}")
    big = Reply("x" * 100_000, None, 1, 1, cached=False)
    with pytest.raises(UserError, match="that has room, and run again; replies kept so far"):
        cache.put("l", "e", REQUEST, big)
    assert cache.get("k")
    assert cache.get("l") is None
    cache._file.execute("PRAGMA max_page_count = 100000")
    cache.put("l", "e", REQUEST, big)
    assert cache.get("l")


def test_a_file_of_another_version_is_refused(cache: Cache) -> None:
    with sqlite3.connect(cache.path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(UserError, match="written by another version of mmedit"):
        Cache(cache.path)


def test_who_opens_a_new_file_along_with_others_waits(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        later = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        later.start()
        Cache(path).close()
        later.join()


def test_a_locked_file_is_told(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmedit_build.services.served.cache.BUSY_SECONDS", 0.05)
    with sqlite3.connect(cache.path, isolation_level=None) as file:
        file.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="locked by another program"):
            Cache(cache.path).put("k", "e", REQUEST, REPLY)
    file.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a work folder"):
        Cache(tmp_path / "file" / "requests.sqlite")
