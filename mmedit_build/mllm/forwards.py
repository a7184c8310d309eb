"""Other forwards in the place of a module's own, for a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Inside, another forward stands in the place of a module's own."""
    # Some libraries wrap the forward of a module in an attribute of the module itself.
    own = vars(module).get("forward")
    vars(module)["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            vars(module).pop("forward", None)
        else:
            vars(module)["forward"] = own
