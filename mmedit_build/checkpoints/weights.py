"""Loading weights: safetensors only, every tensor there, every number finite; else one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mmedit_build.errors import UserError, first_line


@contextmanager
def told(what: str, name: str, remedy: str) -> Iterator[None]:
    """Tell in one sentence what keeps a checkpoint from being loaded."""
    try:
        yield
    except UserError:
        raise
    # All of them: on files that are missing, broken, or do not fit each other, the libraries raise whatever
    # they stumble over, down to a bare Exception.
    except Exception as error:
        reason = first_line(error) or type(error).__name__
        raise UserError(f"Cannot load {what} from '{name}' ({reason}): {remedy}.") from error


def load_whole(kind: Any, folder: str, *, unused: tuple[str, ...] = (), **settings: Any) -> Any:
    """What `kind.from_pretrained` makes of a folder or id, if nothing in it had to be made up.

    `unused` are beginnings of names of tensors that may be missing, as nothing is computed with them.
    """
    model, report = kind.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **settings)
    name = "/".join([folder, *([settings["subfolder"]] if "subfolder" in settings else [])])
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    if missing:
        # The gaps were filled with random numbers, and the model would answer nonsense.
        raise UserError(
            f"The weights of '{name}' lack {len(missing)} tensors that its config.json asks for, "
            f"such as {missing[0]}: give a complete checkpoint."
        )
    check_finite(name, model)
    return model


def check_finite(name: str, model: nn.Module) -> None:
    """Refuse weights that hold NaN or infinity, from which every answer would be made."""
    broken = [key for key, weight in model.named_parameters() if not _is_finite(weight)]
    if broken:
        raise UserError(
            f"The weights of '{name}' are not finite numbers in {len(broken)} tensors, such as {broken[0]}: "
            "give a sound checkpoint, or a dtype that can hold its numbers."
        )


def _is_finite(weight: torch.Tensor) -> bool:
    # Those that are not in memory yet have no numbers to look at.
    if not weight.is_floating_point() or not weight.numel() or weight.is_meta:
        return True
    # The least and the greatest number of a byte each are not looked for in their own type.
    values = weight.detach() if weight.element_size() > 1 else weight.detach().float()
    # Both are NaN where any number is. Unlike a look at each number, this takes next to no time.
    return all(bool(bound.isfinite()) for bound in values.aminmax())
