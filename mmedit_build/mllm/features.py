"""Image features, each distinct image encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.images import Image, image_key, open_image
from mmedit_build.mllm.passes import Counts

MEMORY_BYTES = 2**29
"""How much the features kept by one model may take: some 1,600 images of BLIP-2 OPT-2.7B in float32."""
VISION_BATCH = 32
"""Images encoded at a time."""


class Memory:
    """Features by image digest; the least recently used go when `limit` bytes are full."""

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self._limit = limit
        self._nbytes = 0
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def get(self, key: str) -> Tensor | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, features: Tensor) -> None:
        self._kept[key] = features
        self._nbytes += features.nbytes
        while self._nbytes > self._limit:
            self._nbytes -= self._kept.popitem(last=False)[1].nbytes


class Features:
    """Encodes images through vision tower and connector, and remembers them unless asked for fresh ones."""

    def __init__(self, family: Family, counts: Counts) -> None:
        self._family = family
        self._counts = counts
        self._memory = Memory()
        self._fresh = False

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Inside, every call encodes its images anew and follows the caller's grad mode."""
        before, self._fresh = self._fresh, True
        try:
            yield
        finally:
            self._fresh = before

    def memory(self) -> Memory:
        """What one call may use: the lasting memory, or an empty one of its own inside `fresh`."""
        return Memory() if self._fresh else self._memory

    def of(self, images: Sequence[Image], memory: Memory) -> list[Tensor]:
        """Features (image_length, width) of each image, in order."""
        keys = [image_key(image) for image in images]
        distinct = dict(zip(keys, images, strict=True))
        # Held here as well as in the memory, which may drop some of them before the call is done.
        found = {key: kept for key in distinct if (kept := memory.get(key)) is not None}
        missing = [key for key in distinct if key not in found]
        with torch.set_grad_enabled(self._fresh and torch.is_grad_enabled()):
            for start in range(0, len(missing), VISION_BATCH):
                chunk = missing[start : start + VISION_BATCH]
                encoded = self._encode([distinct[key] for key in chunk])
                found.update(zip(chunk, encoded, strict=True))
        for key in missing:
            memory.put(key, found[key])
        return [found[key] for key in keys]

    def _encode(self, images: Sequence[Image]) -> list[Tensor]:
        features = self._family.encode_images([open_image(image) for image in images])
        self._counts.vision += len(images)
        # Cloned, since a view would keep the whole batch alive after its neighbours are forgotten.
        return [row.clone() for row in features]
