"""Patches that decide at the end of each prompt, and hold what they decided for the whole answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

from editors.base import Model
from editors.patches.hooks import HookPatch
from editors.under import mllm_of
from mmedit_build.mllm import Batch

Decision = TypeVar("Decision")


class GatedPatch(HookPatch):
    """A patch whose hooks keep what they decided of prompts, see `Held`, for what is written after them."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        mllm = mllm_of(model)
        layer = self.first_layer(mllm)
        with ExitStack() as stack:
            if layer is not None:
                stack.enter_context(mllm.lifted_to(layer))
            yield stack.enter_context(super().applied(model))


class Held(Generic[Decision]):
    """What a hook decided of the rows of a batch: made where it sees their prompts, held after that."""

    def __init__(self) -> None:
        self._known: tuple[Sequence[int], Decision] | None = None

    def of(self, batch: Batch, width: int, decide: Callable[[], Decision]) -> Decision:
        """For a pass over the last `width` columns of a batch."""
        if width == batch.valid.shape[1]:
            self._known = (batch.indices, decide())
        return self.known(batch)

    def known(self, batch: Batch) -> Decision:
        """What was decided, maybe in a layer below."""
        # All passes over one batch have the same indices.
        if self._known is None or self._known[0] is not batch.indices:
            raise RuntimeError("a gate sees what is written after prompts that it has not seen")
        return self._known[1]
