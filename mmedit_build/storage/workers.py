"""Copies in processes that work for a command: beside it, on the same copies, or apart, on other machines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mmedit_build.storage.syncing import Pair


class Beside:
    """Has the copies of the command, which sends what is written."""

    def bring(self, path: Path) -> None:
        """Nothing: it was brought before the worker began."""

    def lend(self, path: Path) -> None:
        self.find(path)

    def find(self, path: Path) -> None:
        if not path.exists():
            Pair(path).find(path)

    def wrote(self, path: Path) -> None:
        """Nothing: the command sends it."""

    def removed(self, path: Path) -> None:
        """Nothing, as above."""

    def refresh(self, folder: Path) -> None:
        """Nothing: all is there as soon as it is written."""

    def held(self, folder: Path, busy: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing: the command holds what its workers work in."""
        return nullcontext()


class Apart(Beside):
    """Has copies of its own: of what it reads, once it does. What it writes is sent before it goes on."""

    def bring(self, path: Path) -> None:
        Pair(path).bring()

    def wrote(self, path: Path) -> None:
        Pair(path).send_file(path)

    def removed(self, path: Path) -> None:
        Pair(path).remove()

    def refresh(self, folder: Path) -> None:
        Pair(folder).bring()
