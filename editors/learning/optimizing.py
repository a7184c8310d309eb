"""What optimizers of several methods share."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def in_one_operation(tensors: Iterable[Tensor]) -> bool:
    """Whether an optimizer can step all of them in one operation: small ones take longer to ask for than to
    compute."""
    return all(tensor.device.type in ("cpu", "cuda") for tensor in tensors)
