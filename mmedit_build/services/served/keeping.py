"""Who keeps the replies of served models: this process in a file, or another one for all of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmedit_build.services.served.cache import Cache

_keeper: Callable[[Path], Cache] = Cache


def open_cache(path: Path) -> Cache:
    """The cache of that name, wherever it is."""
    return _keeper(path)


def keep_replies(keeper: Callable[[Path], Cache]) -> None:
    """From now on, have the caches of this process kept by another one."""
    global _keeper
    _keeper = keeper
