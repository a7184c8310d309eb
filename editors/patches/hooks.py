"""Patches by hooks on modules: what comes out of them is made anew for the rows of the batch that runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from editors.base import Model
from editors.under import mllm_of
from mmedit_build.mllm import MLLM, Batch

Hook = Callable[[Batch, Tensor, Tensor], Tensor]
"""From the batch that runs and a module's input and output, both (rows, positions, width), a new output.

It keeps nothing of prompts for the tokens that are written after them, but in a `GatedPatch`: those may be
written in another call, for which the prompts are known up to the last layer.
"""


class HookPatch(ABC):
    """A patch that changes the outputs of modules inside decoder layers."""

    @abstractmethod
    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        """Module name to what shall be made of its output."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        mllm = mllm_of(model)
        with hooked(mllm, self.hooks(mllm)):
            yield model

    @property
    def preserves(self) -> bool:
        return True

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(_parameters_within(mllm, self.hooks(mllm)))


@contextmanager
def hooked(mllm: MLLM, hooks: Mapping[str, Hook]) -> Iterator[None]:
    """Inside, the outputs of the named modules of decoder layers are what their hooks make of them."""
    with ExitStack() as undo:
        for name, hook in hooks.items():
            handle = mllm.model.get_submodule(name).register_forward_hook(_by_rows(mllm, hook))
            undo.callback(handle.remove)
        yield


def _by_rows(mllm: MLLM, hook: Hook) -> Callable[[nn.Module, Any, Any], Tensor]:
    def forward_hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        batch = mllm.running
        if batch is None:
            raise RuntimeError("a hooked module ran outside of the decoder layers of its MLLM")
        # Some layers flatten rows and positions into one dimension before their linear modules.
        rows = len(batch.rows)
        x, y = (tensor.reshape(rows, -1, tensor.shape[-1]) for tensor in (inputs[0], output))
        return hook(batch, x, y).reshape(output.shape)

    return forward_hook


def _parameters_within(mllm: MLLM, modules: Mapping[str, Hook]) -> list[str]:
    prefixes = tuple(f"{module}." for module in modules)
    return [name for name, _ in mllm.model.named_parameters() if name.startswith(prefixes)]
