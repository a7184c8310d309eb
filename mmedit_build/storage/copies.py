"""The seam between those who read and write files and whoever keeps copies of storage alike.

There is one keeper in a process, or none: the session of a command, or in a worker of a cluster one that
sends each file as it is written. Without a keeper nothing can be named by an address.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from mmedit_build.errors import UserError
from mmedit_build.storage.addresses import address_of, is_address, is_copy, local_path


class Keeper(Protocol):
    """Whoever keeps the copies of this process alike with storage."""

    def bring(self, path: Path) -> None:
        """Have all that lies at the address of a copy in it, and from now on send what changes there."""
        ...

    def lend(self, path: Path) -> None:
        """Have a file, or of a folder what is read in it; nothing is ever sent."""
        ...

    def find(self, path: Path) -> None:
        """Have a file that is missing, if storage has it and it was not brought with all others."""
        ...

    def wrote(self, path: Path) -> None:
        """Hear of a file that was written and is whole."""
        ...

    def removed(self, path: Path) -> None:
        """Hear of a file or folder that is no more."""
        ...

    def refresh(self, folder: Path) -> None:
        """Have what others may have added to a folder meanwhile."""
        ...

    def held(self, folder: Path, busy: str) -> AbstractContextManager[None]:
        """Keep others out of a folder, on whatever machine."""
        ...


_keeper: Keeper | None = None


def keep_by(keeper: Keeper | None) -> None:
    """From now on, have copies kept by this one."""
    global _keeper
    _keeper = keeper


def at_home(given: str) -> str:
    """A path for what may be an address: of its copy, which is brought. Any other text stays as it is."""
    if not is_address(given):
        return given
    path = local_path(given)
    if is_copy(path):
        _the_keeper(path).bring(path)
    return str(path)


def lent(address: str) -> Path:
    """The copy of what is only read: a file, or a folder whose files come when they are read."""
    path = local_path(address)
    if is_copy(path):
        _the_keeper(path).lend(path)
    return path


def find(path: Path) -> None:
    """Have a file that is about to be read, if it belongs to a copy that is not here as a whole."""
    if _keeper is not None and is_copy(path):
        _keeper.find(path)


def wrote(path: Path) -> None:
    """Tell of a file that is whole now."""
    if _keeper is not None and is_copy(path):
        _keeper.wrote(path)


def removed(path: Path) -> None:
    """Tell of a file or folder that was removed."""
    if _keeper is not None and is_copy(path):
        _keeper.removed(path)


def refresh(folder: Path) -> None:
    """Have what other workers have added to a folder, before it is looked through."""
    if _keeper is not None and is_copy(folder):
        _keeper.refresh(folder)


def held(folder: Path, busy: str) -> AbstractContextManager[None]:
    """Keep commands of other machines out of a copied folder; of others the lock of the folder does."""
    return _the_keeper(folder).held(folder, busy) if is_copy(folder) else nullcontext()


def _the_keeper(path: Path) -> Keeper:
    if _keeper is None:
        raise UserError(
            f"{address_of(path)} lies in storage: name it inside `with session():`, which is in "
            "mmedit_build.storage.session."
        )
    return _keeper
