"""Before a checkpoint is used: layers run by themselves give what the model's own forward gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import PIL.Image
import torch

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.query import Positions, Query, Scored
from mmedit_build.mllm.rows import Row

ALLOWED = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far logits may be from each other, as a share of the largest: sums in another order round otherwise."""
BROKEN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What models raise on inputs that they do not understand."""


class Layered(Protocol):
    """What is checked: a model that may be run from any layer on. An MLLM is one."""

    name: str

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def n_layers(self) -> int: ...

    def rows(self, queries: Sequence[Query]) -> list[Row]: ...

    def below(self, queries: Sequence[Query], layer: int) -> Sequence[Query]: ...

    def score(self, queries: Sequence[Query], *, positions: Positions) -> list[Scored]: ...


@torch.no_grad()
def check(model: Layered, family: Family) -> float:
    """The worst difference between layers run by themselves and the model's own forward, refused if large."""
    worst = 0.0
    for query in (Query(small_picture(), "What is this?", "a cat"), Query(None, "What is this?", "a cat")):
        kind = "a text" if query.image is None else "an image"
        try:
            difference = _difference(model, family, query)
        except torch.OutOfMemoryError:
            raise
        except BROKEN as error:
            reason = str(error).strip().partition("\n")[0]
            raise _refused(model, f"on {kind} it fails with {type(error).__name__}: {reason}") from error
        allowed = ALLOWED[model.dtype]
        # Written so that logits which are no numbers are refused.
        if not difference <= allowed:
            raise _refused(
                model,
                f"on {kind} its logits differ from those of its own forward by {difference:.2g} of the "
                f"largest, where {allowed:.2g} is allowed",
            )
        worst = max(worst, difference)
    return worst


def _refused(model: Layered, reason: str) -> UserError:
    return UserError(
        f"The model '{model.name}' cannot be run layer by layer ({reason}): give another dtype or checkpoint."
    )


def _difference(model: Layered, family: Family, query: Query) -> float:
    """The worst one of all layers tried, as a share of the largest logit."""
    (row,) = model.rows([query])
    image = query.image if isinstance(query.image, PIL.Image.Image) else None
    plain = family.own_logits(row, image, query.prompt).float()
    # From below all layers, and from where methods edit.
    found = [
        model.score(model.below([query], layer), positions="all") for layer in (0, model.n_layers * 2 // 3)
    ]
    worst = torch.stack([(one[0].logits.to(plain.device) - plain).abs().max() for one in found]).max()
    return float(worst / plain.abs().max())


def small_picture() -> PIL.Image.Image:
    """A small one in which no two places are alike."""
    down, across = np.mgrid[0:64, 0:96]
    colors = np.stack([down * 4, across * 2, (down * across) % 256], axis=-1)
    return PIL.Image.fromarray(colors.astype(np.uint8))
