"""All that an edit could leave behind in a model."""

from __future__ import annotations

import torch

from mmedit_build.mllm import MLLM


class Snapshot:
    """A model as it is now: its parameters to the last bit, hooks, flags and modes."""

    def __init__(self, mllm: MLLM) -> None:
        model = mllm.model
        self._parameters = {name: one.data.clone() for name, one in model.named_parameters()}
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        flags = [(one.requires_grad, one.grad is not None) for one in model.parameters()]
        self._rest = (hooks, flags, model.training, torch.is_grad_enabled())

    def differences(self, mllm: MLLM) -> list[str]:
        """Where the model is not what it was, by names of parameters."""
        now = Snapshot(mllm)
        rest = ["hooks, flags or modes"] if self._rest != now._rest else []
        names = dict.fromkeys([*self._parameters, *now._parameters])
        return rest + [name for name in names if not self._same(name, now)]

    def _same(self, name: str, now: Snapshot) -> bool:
        one, other = self._parameters.get(name), now._parameters.get(name)
        return one is not None and other is not None and torch.equal(one, other)
