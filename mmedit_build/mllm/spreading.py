"""One model over all GPUs: accelerate lays it out, and each layer is handed its inputs where it lies."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from mmedit_build.errors import UserError

ALL = "all"
"""The device of a model that is laid over every GPU."""
SPREAD: dict[str, Any] = {"device_map": "auto"}
"""What transformers is told: as much on each GPU, no layer in parts."""


def check_spread() -> None:
    """Refuse to spread a model where there is nothing to spread it over, or nothing to do it with."""
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number < 2:
        raise UserError(
            f"Device '{ALL}' lays a model over several GPUs, and there are {number} here: use auto."
        )
    if find_spec("accelerate") is None:
        raise UserError(f"Device '{ALL}' needs accelerate: install it with `pip install accelerate`.")


def check_resident(name: str, model: Any) -> None:
    """Refuse weights that were left in main memory or on disk, where a change of them would be lost."""
    left = [module for module, place in model.hf_device_map.items() if place in ("cpu", "disk")]
    if left:
        raise UserError(
            f"'{name}' does not fit on the GPUs together: {len(left)} of its modules, such as {left[0]}, "
            "were left outside, where they cannot be edited. Use more GPUs, a smaller dtype or the cpu."
        )
