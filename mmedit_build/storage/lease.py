"""Keeps commands of other machines out of a folder in storage.

Whoever is at work there has a small file in it, made only where there is none, and writes it anew every few
seconds. One that stays as it is belongs to a command that was killed. No clocks are compared.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mmedit_build.errors import UserError
from mmedit_build.storage.remote import Remote

logger = logging.getLogger(__name__)

BEAT = 10.0
"""Seconds after which the file is written anew."""
DEAD = 3
"""Beats that whoever lives cannot miss."""
SETTLE = 1.0
"""Seconds after which of two that take over at once the later one stands there."""


@dataclass
class Lease:
    """The file of one command in one folder."""

    remote: Remote
    key: str
    busy: str
    """What to tell if another one is there."""
    lost: bool = False
    """Whether another command took over, as this one was taken for dead."""
    _owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    _beats: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def take(self) -> None:
        """Have the folder, or raise."""
        while not self.remote.create(self.key, self._said()):
            held = self._read()
            if held is None:
                continue
            if not _died_here(held) and self._moves(held):
                raise UserError(f"{self.busy} It is process {held.get('process')} on {held.get('host')}.")
            logger.info("%s was left by a command that was killed; taking over", self.key)
            self.remote.write(self.key, self._said())
            self._ended.wait(SETTLE)
            if not self._is_ours():
                raise UserError(self.busy)
            break
        threading.Thread(target=self._beat, daemon=True).start()

    def release(self) -> None:
        """Leave the folder to others."""
        self._ended.set()
        if self._is_ours():
            self.remote.remove([self.key])

    def check(self) -> None:
        """Refuse to go on where another command has taken over."""
        if self.lost:
            raise UserError(
                f"Another command took over {self.key}, as nothing was heard of this one for "
                f"{BEAT * DEAD:.0f} seconds; see that it has ended, and give this one again."
            )

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                if not self._is_ours():
                    self.lost = True
                    return
                self._beats += 1
                self.remote.write(self.key, self._said())
            except UserError as error:
                # A network that is away for a moment; whoever takes over meanwhile is seen afterwards.
                logger.warning("%s", error)

    def _moves(self, held: dict[str, Any]) -> bool:
        logger.info("%s is held by another command; seeing whether it lives", self.key)
        for _ in range(DEAD):
            self._ended.wait(BEAT)
            if self._read() != held:
                return True
        return False

    def _is_ours(self) -> bool:
        held = self._read()
        return held is not None and held.get("owner") == self._owner

    def _read(self) -> dict[str, Any] | None:
        data = self.remote.read(self.key)
        if data is None:
            return None
        try:
            found = json.loads(data)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _said(self) -> bytes:
        about = {"owner": self._owner, "host": socket.gethostname(), "process": os.getpid()}
        return json.dumps({**about, "beats": self._beats}).encode()


def _died_here(held: dict[str, Any]) -> bool:
    """Whether it was a process of this machine that is no more."""
    process = held.get("process")
    if held.get("host") != socket.gethostname() or not isinstance(process, int):
        return False
    try:
        # One of another user's may not be asked, but is there.
        with suppress(PermissionError):
            os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False
