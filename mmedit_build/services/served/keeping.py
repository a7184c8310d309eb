"""Who asks served models and keeps their replies: this process, or another one for all of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import Chat


def _here(model: Endpoint, cache: Path) -> Chat:
    from mmedit_build.services.served.endpoint import EndpointChat

    return EndpointChat(model, cache)


_opened: Callable[[Endpoint, Path], Chat] = _here


def open_served(model: Endpoint, cache: Path) -> Chat:
    """The served model, whoever asks it; its replies are kept in the file `cache`."""
    return _opened(model, cache)


def ask_elsewhere(opened: Callable[[Endpoint, Path], Chat]) -> None:
    """From now on, have the served models of this process asked by another one."""
    global _opened
    _opened = opened
