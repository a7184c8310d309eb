"""The drawings to learn from: drawn once, kept on disk, and not part of any split of the source files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mmedit_build.miniature.drawing import SIZE, draw, placements
from mmedit_build.miniature.eye import PATCH, encode, normalized
from mmedit_build.miniature.world import BACKGROUNDS, Scene, scenes

SEED = "drawn to learn"
DRAWINGS = 24_000
GRID = SIZE // PATCH
Rows = NDArray[np.int64]
"""Numbers of drawings."""


@dataclass(frozen=True)
class Drawings:
    """Scenes with their pixels as an array of images x channels x height x width."""

    scenes: list[tuple[str, Scene]]
    pixels: NDArray[np.uint8]

    def images(self, rows: Rows, device: torch.device) -> torch.Tensor:
        """Normalized images, as an image processor would give them."""
        return normalized(torch.from_numpy(self.pixels[rows]).to(device))

    @cached_property
    def labels(self) -> torch.Tensor:
        """What covers the middle of each patch: images x patches x parts of a code."""
        return torch.from_numpy(np.stack([patch_labels(scene, seed) for seed, scene in self.scenes]))

    @cached_property
    def grounds(self) -> torch.Tensor:
        """The index of each background."""
        return torch.tensor([BACKGROUNDS.index(scene.background) for _, scene in self.scenes])


def drawings(work: Path, number: int = DRAWINGS) -> Drawings:
    """The first `number` drawings of SEED, read from `work` or drawn into it."""
    chosen = list(scenes(SEED, number))
    path = work / f"drawings-{number}.npy"
    if not path.exists():
        with Pool() as pool:
            pixels = np.stack(pool.map(_pixels, chosen, chunksize=200))
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, pixels)
        temporary.replace(path)
    return Drawings(chosen, np.load(path, mmap_mode="r"))


def _pixels(item: tuple[str, Scene]) -> NDArray[np.uint8]:
    seed, scene = item
    return np.asarray(draw(scene, seed)).transpose(2, 0, 1)


def patch_labels(scene: Scene, seed: str) -> NDArray[np.int64]:
    """For each patch in reading order, the code of the thing that covers its middle."""
    middles = (np.arange(GRID) + 0.5) * PATCH
    labels = np.zeros((GRID, GRID, 3), dtype=np.int64)
    for place in placements(scene, seed):
        distance = np.hypot(middles[None, :] - place.x, middles[:, None] - place.y)
        labels[distance < 0.85 * place.diameter / 2] = encode(place.thing)
    return labels.reshape(GRID * GRID, 3)
