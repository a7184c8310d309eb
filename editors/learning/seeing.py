"""Linear modules that images go through: gradients of edits there, and patches while they are learned.

An image goes through them once, whichever queries of a call show it. So what belongs to which edit cannot be
told by the rows of a batch, as it is in the language model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from editors.learning.gradients import Gradient, outer_products
from editors.losses import target_nll
from editors.patches.weights import LowRankPatch, added_outputs
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Positions, Query, Scored
from mmedit_build.pictures import image_key

Pass = tuple[Tensor, Tensor]
"""What went into a module and what came out when it saw one image, which may be in several tiles."""


def seeing_gradients(mllm: MLLM, queries: Sequence[Query], weights: Sequence[str]) -> list[Gradient]:
    """For each query, the gradient of -log p(target), as the mean over its tokens, by each named weight."""
    found: list[Gradient] = [{} for _ in queries]
    for indices in _unlike(queries):
        part = [queries[i] for i in indices]
        for index, gradient in zip(indices, _gradients(mllm, part, weights), strict=True):
            found[index] = gradient
    return found


def scored_apart(
    mllm: MLLM,
    patches: Sequence[LowRankPatch],
    queries: Sequence[Query],
    owners: Sequence[int],
    positions: Sequence[Positions],
) -> list[Scored]:
    """Query i under patch `owners[i]`, one patch after the other; gradients flow into the factors."""
    found: dict[int, Scored] = {}
    for owner in dict.fromkeys(owners):
        own = [i for i, one in enumerate(owners) if one == owner]
        with _seen_under(mllm, patches[owner]):
            asked, where = [queries[i] for i in own], [positions[i] for i in own]
            found.update(zip(own, mllm.logits(asked, positions=where), strict=True))
    return [found[i] for i in range(len(queries))]


def _unlike(queries: Sequence[Query]) -> list[list[int]]:
    """The queries in groups in which no image comes twice: its gradient is then that of one query alone."""
    groups: list[list[int]] = []
    shown: dict[str, int] = {}
    for index, query in enumerate(queries):
        if query.image is None:
            raise UserError(
                f"The edit of {shorten(query.prompt, 60)!r} has no image: edit the part "
                "`language`, or answers about images."
            )
        key = image_key(query.image)
        times = shown[key] = shown.get(key, 0) + 1
        if times > len(groups):
            groups.append([])
        groups[times - 1].append(index)
    return groups


def _gradients(mllm: MLLM, queries: Sequence[Query], weights: Sequence[str]) -> list[Gradient]:
    """Of queries that show an image each, all of them different ones."""
    seen: dict[str, list[Pass]] = {name: [] for name in weights}
    with torch.enable_grad(), mllm.fresh_features(apart=True), ExitStack() as undo:
        for name in weights:
            undo.callback(_module(mllm, name).register_forward_hook(_noting(seen[name])).remove)
        loss = target_nll(mllm.logits(queries)).sum()
    outputs = {name: [output for _, output in passes] for name, passes in seen.items()}
    deltas = iter(torch.autograd.grad(loss, [one for of in outputs.values() for one in of]))
    found: list[Gradient] = [{} for _ in queries]
    for name, passes in seen.items():
        if len(passes) != len(queries):
            raise RuntimeError(f"{name} ran {len(passes)} times, where there are {len(queries)} images")
        for of_query, (inputs, _) in zip(found, passes, strict=True):
            pair = (inputs.detach().flatten(0, -2), next(deltas).flatten(0, -2))
            of_query[name] = outer_products(*pair, mllm.device)
    return found


def _noting(passes: list[Pass]) -> Callable[[nn.Module, Any, Tensor], None]:
    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not output.requires_grad:
            # The first module of all: nothing before it takes gradients.
            output.requires_grad_(True)
        passes.append((inputs[0], output))

    return note


@contextmanager
def _seen_under(mllm: MLLM, patch: LowRankPatch) -> Iterator[None]:
    """Inside, images are seen anew by modules that put out what the patch adds, too."""
    with mllm.fresh_features(), added_outputs(mllm, patch.factors):
        yield


def _module(mllm: MLLM, weight: str) -> nn.Module:
    return mllm.model.get_submodule(weight.removesuffix(".weight"))
