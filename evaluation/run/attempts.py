"""Methods tried one after the other: one that cannot run does not keep the others from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

from mmedit_build.errors import UserError
from mmedit_build.rows import Task

Result = TypeVar("Result")
NO_MEMORY = "The memory of the device ran out; give a smaller --batch-size or --dtype bfloat16."


class MethodsFailedError(UserError, Generic[Result]):
    """Some methods could not run; `done` is what the others came to."""

    def __init__(self, told: str, done: Sequence[Result]) -> None:
        super().__init__(told)
        self.done = done


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

    def check(self) -> None:
        """Tell of all that failed, now that the others are done."""
        if self._failed:
            raise MethodsFailedError(self._told(), self.done)

    def _told(self) -> str:
        if not self.done:
            # Nothing else was done, so there is nothing to tell it apart from.
            return " ".join(self._failed)
        return " ".join(_sentence(where, reason) for reason, where in self._failed.items())


def settled(work: Callable[[], list[Result]]) -> tuple[list[Result], UserError | None]:
    """What some work came to, and the failures that have to be told when that is shown."""
    try:
        return work(), None
    except MethodsFailedError as error:
        return list(error.done), error


def _sentence(where: Sequence[tuple[str, Task]], reason: str) -> str:
    methods = dict.fromkeys(method for method, _ in where)
    tasks = dict.fromkeys(task for _, task in where)
    return f"All is done but {', '.join(methods)} for {' and '.join(tasks)}: {reason}"
