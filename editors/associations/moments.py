"""Second moments of the keys of a layer: C = E[k k^T] over all positions of many contexts, kept on disk.

A key is what goes into the down-projection of a layer's MLP. Contexts without an image and contexts with one
(whose image positions count too) are kept apart, so that they can be weighted against each other. The keys of
an edit are turned by the inverse of C, so that the edit disturbs least what is common: ROME's covariance.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from editors.base import State, TrainEdit
from editors.keys import model_key, query_fields
from editors.patches.hooks import Hook, hooked
from editors.saving import read_state, write_state
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.mllm import MLLM, Batch, Query

VERSION = 2
"""Raised when the same contexts would give other moments, or other things are kept of them."""
CHUNK = 32
"""Contexts that are run at a time."""

Sort = Literal["text", "image"]


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """C of a layer in float32, and of how many positions it is the mean."""

    second: Tensor
    positions: int


def draw_contexts(train: Iterable[TrainEdit], samples: int, seed: int) -> dict[Sort, list[Query]]:
    """Of each sort, at most so many of the queries that train edits come with, their answers included."""
    text: dict[tuple[str, str], Query] = {}
    image: list[Query] = []
    for one in train:
        asked = (one.edit.query, one.text_rephrase, *one.text_locality, *one.image_locality)
        for query in asked:
            if query is not None and query.image is not None:
                image.append(query)
            elif query is not None:
                text[query.prompt, query.target] = query
    rng = random.Random(seed)
    drawn = (rng.sample(sort, min(samples, len(sort))) for sort in (list(text.values()), image))
    return dict(zip(("text", "image"), drawn, strict=True))


def second_moments(
    mllm: MLLM,
    layers: Sequence[int],
    contexts: Sequence[Query],
    *,
    cache: Path,
    advance: Callable[[int], None],
) -> dict[int, Moment]:
    """C of each layer over the contexts (at least one); read from the folder if it is known."""
    paths = {layer: cache / f"{_key(mllm, layer, contexts)[:24]}.safetensors" for layer in layers}
    missing = [layer for layer, path in paths.items() if not is_file(path)]
    if missing:
        for layer, moment in _computed(mllm, missing, contexts, advance).items():
            fields = {"layer": layer, "contexts": len(contexts), "positions": moment.positions}
            write_state(paths[layer], State({"second": moment.second}, fields), "second moments")
    else:
        advance(len(contexts))
    known = {layer: read_state(path)[0] for layer, path in paths.items()}
    return {
        layer: Moment(state.tensors["second"], int(str(state.fields["positions"])))
        for layer, state in known.items()
    }


def _key(mllm: MLLM, layer: int, contexts: Sequence[Query]) -> str:
    fields = [VERSION, model_key(mllm), layer, list(map(query_fields, contexts))]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _computed(
    mllm: MLLM, layers: Sequence[int], contexts: Sequence[Query], advance: Callable[[int], None]
) -> dict[int, Moment]:
    sums: dict[int, Tensor] = {}
    positions = 0

    def adding(layer: int) -> Hook:
        def hook(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            keys = x[batch.valid.to(x.device)].float()
            square = keys.mT @ keys
            sums[layer] = sums[layer] + square if layer in sums else square
            return y

        return hook

    with hooked(mllm, {mllm.mlp(layer).down.name: adding(layer) for layer in layers}):
        for start in range(0, len(contexts), CHUNK):
            chunk = contexts[start : start + CHUNK]
            below = mllm.below(chunk, max(layers) + 1)
            positions += sum(row.length for row in below.rows)
            advance(len(chunk))
    return {layer: Moment((total / positions).cpu(), positions) for layer, total in sums.items()}


def mixed(moments: Mapping[Sort, Moment], image_share: float) -> Moment:
    """One C of both sorts of contexts; where there is but one sort, it is all."""
    if len(moments) == 1:
        return next(iter(moments.values()))
    text, image = moments["text"], moments["image"]
    second = (1 - image_share) * text.second + image_share * image.second
    return Moment(second, text.positions + image.positions)


def in_float64(tensor: Tensor) -> Tensor:
    """The tensor in float64, in main memory if it lies on Metal, which knows no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


class Covariance:
    """C of a layer, with `ridge` times its mean diagonal element added to the diagonal; in float64."""

    def __init__(self, second: Tensor, ridge: float, device: torch.device) -> None:
        self.second = second
        self._ridge = ridge
        self._device = device

    @property
    def matrix(self) -> Tensor:
        """C itself, with the ridge."""
        second = self.second.to(self._device)
        # No more than one copy is made: for 18,944 features it takes 2.9 GB.
        matrix = in_float64(second) if second.dtype != torch.float64 else second.clone()
        diagonal = matrix.diagonal()
        diagonal += self._ridge * diagonal.mean()
        return matrix

    @cached_property
    def _root(self) -> Tensor:
        root: Tensor
        root, fault = torch.linalg.cholesky_ex(self.matrix)
        if int(fault):
            raise UserError(
                f"The second moments of {len(self.second)} features cannot be inverted: some features never "
                "vary; raise the option ridge, or give more contexts to learn from."
            )
        return root

    def whiten(self, keys: Tensor) -> Tensor:
        """C^-1 K, for keys that are the columns of K."""
        turned: Tensor = torch.cholesky_solve(in_float64(keys).to(self._root), self._root)
        return turned
