"""Methods tried one after the other: one that cannot run does not keep the others from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from mmedit_build.errors import UserError
from mmedit_build.rows import Task

Result = TypeVar("Result")
NO_MEMORY = "The memory of the device ran out; give a smaller --batch-size or --dtype bfloat16."


@dataclass(frozen=True, slots=True)
class Settled(Generic[Result]):
    """What some methods came to, and what has to be told of those that could not run."""

    done: list[Result]
    failed: UserError | None


class Attempts(Generic[Result]):
    """What methods came to, and why some came to nothing."""

    def __init__(self) -> None:
        self.done: list[Result] = []
        self._failed: dict[str, list[tuple[str, Task]]] = {}
        """By the reason: the methods and the tasks."""

    @contextmanager
    def at(self, method: str, task: Task) -> Iterator[None]:
        """Inside, a mistake of the user's is kept for the end, and so is a want of memory."""
        try:
            yield
        except UserError as error:
            self._failed.setdefault(str(error), []).append((method, task))
        except torch.OutOfMemoryError:
            self._failed.setdefault(NO_MEMORY, []).append((method, task))

    def settled(self) -> Settled[Result]:
        """All that was done and all that failed, now that nothing else is to be tried."""
        return Settled(self.done, UserError(self._told()) if self._failed else None)

    def _told(self) -> str:
        if not self.done:
            # Nothing else was done, so there is nothing to tell it apart from.
            return " ".join(self._failed)
        return " ".join(_sentence(where, reason) for reason, where in self._failed.items())


def _sentence(where: Sequence[tuple[str, Task]], reason: str) -> str:
    methods = dict.fromkeys(method for method, _ in where)
    tasks = dict.fromkeys(task for _, task in where)
    return f"All is done but {', '.join(methods)} for {' and '.join(tasks)}: {reason}"
