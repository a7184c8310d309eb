"""Keeps the copies of a command alike with storage: brings them when they are named, sends what changes."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmedit_build.errors import STOPPED, UserError
from mmedit_build.storage.addresses import address_of
from mmedit_build.storage.copies import keep_by
from mmedit_build.storage.lease import Lease
from mmedit_build.storage.syncing import LOCK, Advance, Pair

logger = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds between two looks for what has changed, at least."""
SHARE = 10
"""It is paused so many times as long as sending took: large files that grow are sent less often."""
_current: _Session | None = None


class _Session:
    """The copies of this process."""

    def __init__(self) -> None:
        self._brought: list[Pair] = []
        self._lent: set[Path] = set()
        self._leases: list[Lease] = []
        self._sending = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def bring(self, path: Path) -> None:
        if any(path == pair.path or pair.path in path.parents for pair in self._brought):
            return
        pair = Pair(path)
        self._bring(pair)
        self._brought.append(pair)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
            _heed_terminations()

    def bring_again(self) -> None:
        """Have what workers on other machines have sent."""
        for pair in self._brought:
            self._bring(pair)

    def lend(self, path: Path) -> None:
        if path in self._lent:
            return
        if not Pair(path).find(path):
            raise UserError(f"There is nothing at {address_of(path)}: check the address.")
        self._lent.add(path)

    def find(self, path: Path) -> None:
        if not self._lent.isdisjoint(path.parents) and not path.exists():
            Pair(path).find(path)

    def wrote(self, path: Path) -> None:
        """Nothing: it is sent with all else that has changed."""

    def removed(self, path: Path) -> None:
        """Nothing, as above."""

    def refresh(self, folder: Path) -> None:
        """Nothing: those who write beside this process have the same copy."""

    @contextmanager
    def held(self, folder: Path, busy: str) -> Iterator[None]:
        pair = Pair(folder)
        lease = Lease(pair.remote, f"{pair.key(folder)}/{LOCK}", busy)
        lease.take()
        self._leases.append(lease)
        try:
            # Whoever had the folder before may have ended since it was brought.
            self._bring(pair)
            yield
        finally:
            lease.check()
            with self._sending:
                _shown("sending", pair, pair.send)
            lease.release()
            self._leases.remove(lease)

    def send_all(self, *, shown: bool = False) -> None:
        """Have in storage all that has changed, unless another command is at work there now."""
        with self._sending:
            if not any(lease.lost for lease in self._leases):
                for pair in self._brought:
                    if shown:
                        _shown("sending", pair, pair.send)
                    else:
                        pair.send()

    def end(self) -> None:
        """Send the last, and stop."""
        self._ended.set()
        self.send_all(shown=True)

    def _bring(self, pair: Pair) -> None:
        with self._sending:
            _shown("fetching", pair, pair.bring)

    def _watch(self) -> None:
        pause = PAUSE
        while not self._ended.wait(pause):
            start = time.monotonic()
            try:
                self.send_all()
            except (UserError, OSError) as error:
                logger.warning("%s", error)
            pause = max(PAUSE, SHARE * (time.monotonic() - start))


def _heed_terminations() -> None:
    """Send the last also when a machine is about to be taken away, of a Slurm job or a spot instance."""
    unheeded = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if unheeded and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _shown(doing: str, pair: Pair, work: Callable[[Callable[[int], Advance]], None]) -> None:
    """Fetch or send with a bar, if there is anything."""
    # Imported here, as hardly any command has something in storage.
    from mmedit_build.console import progress

    with ExitStack() as stack:
        label = f"{doing} {address_of(pair.path)}"
        work(lambda total: stack.enter_context(progress(label, total)))


@contextmanager
def session() -> Iterator[None]:
    """Meanwhile, paths may be addresses in storage; what has changed in their copies is sent at the end, at
    the latest. One inside another is the same."""
    global _current
    if _current is not None:
        yield
        return
    _current = _Session()
    keep_by(_current)
    try:
        yield
    finally:
        try:
            _current.end()
        except KeyboardInterrupt:
            sys.stderr.write("Not all was sent to storage. The next command that names it sends the rest.\n")
            raise SystemExit(STOPPED) from None
        finally:
            keep_by(None)
            _current = None


def within_session(work: Callable[[], object]) -> Callable[[], object]:
    """A command line in a session of its own."""

    def worked() -> None:
        with session():
            work()

    return worked


@contextmanager
def shared() -> Iterator[None]:
    """Meanwhile workers on other machines see what is there now; afterwards what they have sent is here."""
    if _current is not None:
        _current.send_all()
    yield
    if _current is not None:
        _current.bring_again()
