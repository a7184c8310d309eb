"""Every reply of served models on disk, so that none is paid twice, and the account of what was spent.

One SQLite file serves several processes at once. A reply is committed before anyone sees it. A request that
is under way is claimed: another process that wants the same one waits for its reply. Claims run out when
they are not renewed, so that those of a killed process do not stay.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Reply
from mmedit_build.services.served.keys import address

VERSION = 1
BUSY_SECONDS = 30.0
LEASE_SECONDS = 10.0
"""How long a claim holds that nobody renews."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, request TEXT NOT NULL, text TEXT NOT NULL, confidence REAL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS losses (
    endpoint TEXT NOT NULL, reason TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, owner TEXT NOT NULL, until REAL NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL
) WITHOUT ROWID;
"""
PACES = "CREATE TABLE IF NOT EXISTS paces (endpoint TEXT PRIMARY KEY, next REAL NOT NULL) WITHOUT ROWID"
CATCHING_UP = 1.0
"""Seconds of a pace that may be made up for, since whoever waits for its turn looks only every so often."""
SUMS = "SELECT COUNT(*), COALESCE(SUM(input_tokens), 0), COALESCE(SUM(output_tokens), 0) FROM"
LOSE = "INSERT INTO losses SELECT endpoint, 'unfinished', input_tokens, output_tokens FROM claims"
Claimed = Literal["mine", "wait", "never"]
"""The request may be sent; it may be soon; what was spent forbids it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that were paid, or may have been."""

    requests: int
    input_tokens: int
    output_tokens: int

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


def request_key(model: Endpoint, request: ChatRequest) -> str:
    """The name of a request in the cache: a digest of all that decides about its reply."""
    fields = [address(model.base_url), model.model, _summary(request)]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def stored_keys(path: Path) -> set[str]:
    """The requests whose replies a cache holds; a cache that does not exist holds none, and is not made."""
    if not path.exists():
        return set()
    with closing(Cache(path)) as cache:
        return cache.keys()


class Cache:
    """An open cache file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = uuid.uuid4().hex
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are begun by hand, and one thread at a time asks, though not always the same one.
            self._file = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def close(self) -> None:
        self._file.close()

    def get(self, key: str) -> Reply | None:
        """A reply that was paid before."""
        with self._told():
            row = self._file.execute(
                "SELECT text, confidence, input_tokens, output_tokens FROM replies WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        text, confidence, tokens_in, tokens_out = row
        return Reply(text, confidence, tokens_in, tokens_out, cached=True)

    def keys(self) -> set[str]:
        """Of all replies."""
        with self._told():
            return {key for (key,) in self._file.execute("SELECT key FROM replies")}

    def put(self, key: str, endpoint: str, request: ChatRequest, reply: Reply) -> None:
        """Keep a reply; when this returns, it is on disk. The claim on it ends."""
        values = (reply.text, reply.confidence, reply.input_tokens, reply.output_tokens, time.time())
        with self._change() as change:
            change(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, endpoint, json.dumps(_summary(request)), *values),
            )
            change("DELETE FROM claims WHERE key = ?", (key,))

    def charge(self, key: str, endpoint: str, reason: str, tokens: tuple[int, int] | None) -> None:
        """Note what an attempt of no use cost, or may have cost. Its claim now stands for no tokens."""
        with self._change() as change:
            if tokens:
                change("INSERT INTO losses VALUES (?, ?, ?, ?)", (endpoint, reason, *tokens))
            change("UPDATE claims SET input_tokens = 0, output_tokens = 0 WHERE key = ?", (key,))

    def spent(self, endpoint: str) -> Spent:
        """What this endpoint has been paid for replies, useful or not."""
        with self._told():
            return self._sum("replies", endpoint) + self._sum("losses", endpoint)

    def claim(
        self,
        key: str,
        endpoint: str,
        worst: Spent,
        allowed: Callable[[Spent], bool] | None = None,
        per_minute: float | None = None,
    ) -> Claimed:
        """Ask to send a request. `worst` is the most it can take, and `allowed` says whether so much may be
        spent; requests under way count with their worst case, and may turn out cheaper. At most `per_minute`
        are begun, by whoever shares this file."""
        with self._change() as change:
            self._drop_expired(change)
            holder = self._file.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
            if (holder and holder[0] != self._owner) or self._has(key):
                return "wait"
            change("DELETE FROM claims WHERE key = ?", (key,))
            if allowed:
                spent = self._sum("replies", endpoint) + self._sum("losses", endpoint)
                if not allowed(spent + worst):
                    return "never"
                if not allowed(spent + self._sum("claims", endpoint) + worst):
                    return "wait"
            if per_minute is not None and not self._in_turn(change, endpoint, 60 / per_minute):
                return "wait"
            until = time.time() + LEASE_SECONDS
            row = (key, endpoint, self._owner, until, worst.input_tokens, worst.output_tokens)
            change("INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?)", row)
        return "mine"

    def _in_turn(self, change: Callable[..., Any], endpoint: str, seconds: float) -> bool:
        """Whether a request may begin so many seconds after the one before."""
        now = time.time()
        row = self._file.execute("SELECT next FROM paces WHERE endpoint = ?", (endpoint,)).fetchone()
        if row is not None and row[0] > now:
            return False
        begun = now if row is None else max(row[0], now - CATCHING_UP)
        change("INSERT OR REPLACE INTO paces VALUES (?, ?)", (endpoint, begun + seconds))
        return True

    def renew(self) -> None:
        """Hold this cache's claims for another while."""
        with self._change() as change:
            until = time.time() + LEASE_SECONDS
            change("UPDATE claims SET until = ? WHERE owner = ?", (until, self._owner))

    def release(self, key: str) -> None:
        """Give up the claim on a request of which no reply is to come."""
        with self._change() as change:
            change("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))

    def abandon(self) -> None:
        """End all of this cache's claims in the middle of their requests, which count as paid."""
        with self._change() as change:
            change(f"{LOSE} WHERE output_tokens > 0 AND owner = ?", (self._owner,))
            change("DELETE FROM claims WHERE owner = ?", (self._owner,))

    def _prepare(self) -> None:
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise UserError(
                f"{self.path} was written by another version of mmedit (format {version}, this one reads "
                f"{VERSION}): use that version, or move the file away and pay for its replies again."
            )
        self._write_ahead()
        # Replies are paid for: they shall survive a power failure too.
        self._file.execute("PRAGMA synchronous = FULL")
        if version == 0:
            self._file.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        self._file.execute(PACES)

    def _write_ahead(self) -> None:
        """Where others open a new file too, SQLite does not wait for its turn by itself."""
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._file.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            time.sleep(0.01)

    def _has(self, key: str) -> bool:
        return self._file.execute("SELECT 1 FROM replies WHERE key = ?", (key,)).fetchone() is not None

    def _sum(self, table: str, endpoint: str) -> Spent:
        return Spent(*self._file.execute(f"{SUMS} {table} WHERE endpoint = ?", (endpoint,)).fetchone())

    def _drop_expired(self, change: Callable[..., Any]) -> None:
        now = time.time()
        change(f"{LOSE} WHERE output_tokens > 0 AND until < ?", (now,))
        change("DELETE FROM claims WHERE until < ?", (now,))

    @contextmanager
    def _change(self) -> Iterator[Callable[..., Any]]:
        """One transaction, which is on disk afterwards or did not happen."""
        with self._told():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file.execute
                self._file.execute("COMMIT")
            except BaseException:
                # Some errors, such as a full disk, have ended the transaction already.
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the disk complain of into one sentence with a remedy."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise UserError(_sentence(self.path, error)) from error


def _code(error: Exception) -> int:
    """What SQLite calls the trouble, without its details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sentence(path: Path, error: Exception) -> str:
    code = _code(error)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"{path}, which keeps the replies that were paid for, is damaged: bring back a copy of it, or "
            "move it away and run again, which pays for its replies once more."
        )
    if code == sqlite3.SQLITE_BUSY:
        return (
            f"{path} has been locked by another program for {BUSY_SECONDS:.0f} seconds: end it and run again."
        )
    return (
        f"Cannot use {path}, which keeps the replies that were paid for ({error}): choose a work folder that "
        "you may write to and that has room, and run again; replies kept so far are not paid again."
    )


def _summary(request: ChatRequest) -> dict[str, Any]:
    """A request as it is digested and kept, images by their digests."""
    return {
        "messages": [[message.role, message.text, _digest(message.image)] for message in request.messages],
        "temperature": float(request.temperature),
        "max_tokens": request.max_tokens,
        "sample": request.sample,
        "logprobs": request.logprobs,
        # Only where it is so: what was kept before there was such a thing keeps its name.
        **({"cut": True} if request.cut else {}),
    }


def _digest(image: bytes | None) -> str | None:
    return None if image is None else hashlib.sha256(image).hexdigest()
