"""What a method should take on a model, told from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.fullsize.building import make_family
from benchmarks.fullsize.edits import HELD_OUT, TRAINED, picture
from editors import load_editor
from editors.learning.hypernetworks import Shapes, edited
from editors.portions import ROOM, kept_bytes
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.families.base import Family
from tests.zoo.common import Member

TEXT = 40
"""Positions of a row without its image, about."""
FLOAT, DOUBLE = 4, 8
ROWS = 4
"""Questions that are mined together."""
MOMENTS, BEST = "second moments as they are kept", "the best network"
"""What is copied to the device when it is asked for."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes by what they are for."""

    parts: Mapping[str, int]

    @property
    def whole(self) -> int:
        return sum(self.parts.values())


class Sizes:
    """A model without numbers, and how long its rows are."""

    def __init__(self, member: Member, dtype: torch.dtype) -> None:
        family = make_family(member, dtype)
        self.mllm = MLLM(family, "shapes alone")
        self.itemsize = dtype.itemsize
        self.weights = sum(parameter.nbytes for parameter in set(family.model.parameters()))
        self.words = self.mllm.embed_tokens.num_embeddings
        self.row = TEXT + _image_positions(family)
        down = self.mllm.mlp(-1).down.module
        self.width, self.inner = down.out_features, down.in_features

    def budget(self, what: str, options: Mapping[str, Any], device: torch.device) -> Budget:
        """Of the weights, and of what is kept besides them at the moment at which it is most."""
        parts = {"weights": self.weights}
        if what in ("check", "mine"):
            # Whole logits of one row, or keys and values of all rows; and what passes a layer.
            logits = 3 * self.row * self.words * FLOAT
            kept = 2 * ROWS * self.mllm.most_kept(for_generation=True) * self.row // self._most_positions
            parts["keys, values, logits"] = logits if what == "check" else kept
        elif what != "ike":
            config = load_editor(what, options).config
            parts |= getattr(self, f"_{what.replace('-', '_')}")(config)
            if device.type == "cuda":
                # These lie in main memory.
                for name in (MOMENTS, BEST):
                    parts.pop(name, None)
        return Budget(parts)

    @property
    def _most_positions(self) -> int:
        return self.mllm._family.max_positions

    def _saved(self, rows: int, layer: int, *, bounded: bool = True) -> int:
        """What a pass with gradients keeps; it takes fewer rows at a time where that is too much."""
        one = self.row * kept_bytes(self.mllm, layer)
        return max(one, min(rows * one, ROOM if bounded else rows * one))

    def _ft(self, config: Any) -> dict[str, int]:
        part = self.mllm.part(config.part)
        number = sum(parameter.numel() for parameter in part.values())
        # In float32 as it was, as it is, its change, its gradient and two of Adam; its copy and gradient.
        tuned = number * (6 * FLOAT + 2 * self.itemsize)
        return {"what is tuned": tuned, "activations": self._saved(1, self.mllm.first_layer(part) or 0)}

    _ft_vision = _ft

    def _calinet(self, config: Any) -> dict[str, int]:
        slots = 4 * 2 * config.slots * self.width * FLOAT
        return {"slots": slots, "activations": self._saved(len(config.forms), self.mllm.n_layers - 1)}

    def _t_patcher(self, config: Any) -> dict[str, int]:
        memories = 2 * config.memory * self.width * FLOAT
        excited = 6 * config.memory * config.copies * config.neurons * FLOAT
        return {"memories": memories, "how far they excite": excited}

    def _kn(self, config: Any) -> dict[str, int]:
        rows = len(config.forms) * config.tokens * config.steps
        return {"activations": self._saved(min(rows, 64), 0)}

    def _rome(self, config: Any) -> dict[str, int]:
        return self._moments(1) | {"activations": self._saved(config.prefix_count + 2, config.layer)}

    def _memit(self, config: Any) -> dict[str, int]:
        rows = config.prefix_count + 2
        return self._moments(len(config.edited)) | {"activations": self._saved(rows, max(config.edited))}

    def _moments(self, layers: int) -> dict[str, int]:
        square = self.inner**2
        # The factors of all layers stay, as every edit asks for them, and one matrix is being factorized.
        return {
            MOMENTS: layers * square * FLOAT,
            "second moments as they are used": (layers + 1) * square * DOUBLE,
        }

    def _mend(self, config: Any) -> dict[str, int]:
        shapes = edited(self.mllm, config.layers)
        number = _mend_parameters(shapes, config.rank)
        pairs = sum(self.row * sum(shape) for shape in shapes.values()) * FLOAT
        edits = TRAINED + HELD_OUT
        # Pairs of one edit as they go through the network: itself, and for each layer what five steps make.
        through = 11 * pairs
        known = min(config.keep_bytes, edits * pairs)
        logits = 6 * self.row * self.words * FLOAT
        lowest = self.mllm.first_layer(shapes) or 0
        return {
            "network, gradients, Adam": 4 * number * FLOAT,
            BEST: number * FLOAT,
            "gradients of edits": known + through,
            "activations": self._saved(2, lowest, bounded=False) + logits,
        }


def _mend_parameters(shapes: Shapes, rank: int) -> int:
    groups: dict[tuple[int, int], int] = {}
    for shape in shapes.values():
        groups[shape] = groups.get(shape, 0) + 1
    found = 0
    for shape, modes in groups.items():
        width = sum(shape)
        found += 2 * width * (2 * min(rank, width) + 1 + 2 * modes)
    return found + len(shapes)


def _image_positions(family: Family) -> int:
    if family.fixed_layout is not None:
        return family.fixed_layout.length
    pictures, prompts = [picture(0)], [""]
    if "image_grid_thw" in family.image_inputs:
        patches = int(family.prepare(pictures, prompts)["image_grid_thw"][0].prod())
        return patches // int(family.image_processor.merge_size) ** 2
    return family.see(pictures, prompts)[0].features.shape[0]
