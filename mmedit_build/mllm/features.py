"""What the language model sees of images, each distinct image encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from mmedit_build.mllm.ahead import Ahead
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Seen
from mmedit_build.mllm.kept import KeptFeatures
from mmedit_build.mllm.passes import Counts
from mmedit_build.mllm.query import Query
from mmedit_build.mllm.rows import Layout
from mmedit_build.pictures import Image, image_key, open_image

CACHE_BYTES = 2**29
"""How much the features kept by one model may take: some 1,600 images of BLIP-2 OPT-2.7B in float32."""
VISION_BATCH = 32
"""Images encoded at a time, at most."""
CPU_BYTES = 2**22
"""On a CPU what they are as the encoder is given them takes no more: of more it has no room in its caches for
what it makes of them, and takes an eighth longer. Six of 224 pixels a side."""


class FeatureCache:
    """What was seen, by image; the least recently used goes when `limit` bytes are full, if not from disk."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._nbytes = 0
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        self.disk: KeptFeatures | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._kept or (self.disk is not None and key in self.disk)

    def get(self, key: str) -> Seen | None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        seen = None if self.disk is None else self.disk.get(key)
        if seen is not None:
            self._hold(key, seen)
        return seen

    def put(self, key: str, seen: Seen) -> None:
        self._hold(key, seen)
        if self.disk is not None:
            self.disk.put(key, seen)

    def _hold(self, key: str, seen: Seen) -> None:
        self._kept[key] = seen
        self._nbytes += seen.nbytes
        while self._nbytes > self._limit:
            self._nbytes -= self._kept.popitem(last=False)[1].nbytes


class Features:
    """Encodes images through vision tower and connector, and remembers them unless asked for fresh ones."""

    def __init__(self, family: Family, counts: Counts) -> None:
        self._family = family
        self._counts = counts
        self._cache = FeatureCache()
        self._layouts: dict[str, Layout] = {}
        self._fresh = False
        self._apart = False
        self._opening: Ahead | None = None

    @contextmanager
    def ahead(
        self, queries: Sequence[Query], keys: Sequence[str | None], cache: FeatureCache
    ) -> Iterator[None]:
        """Inside, images that are not known yet are opened in the order of these queries before they are
        encoded."""
        # Decoded pictures are there already; of one that is opened lazily two threads would read.
        files = {
            key: query.image
            for key, query in zip(keys, queries, strict=True)
            if key is not None and isinstance(query.image, Path | bytes) and key not in cache
        }
        if len(files) < 2:
            yield
            return
        with Ahead(files.items()) as self._opening:
            try:
                yield
            finally:
                self._opening = None

    @contextmanager
    def fresh(self, *, apart: bool = False) -> Iterator[None]:
        """Inside, every call encodes its images anew, one by one if `apart`, and follows the grad mode."""
        before = self._fresh, self._apart
        self._fresh, self._apart = True, apart or self._apart
        try:
            yield
        finally:
            self._fresh, self._apart = before

    def keep_in(self, folder: Path) -> None:
        """Keep what the lasting cache has on disk, too, and look there first."""
        self._cache.disk = KeptFeatures(folder, self._family.model.device)

    def cache(self) -> FeatureCache:
        """What one call may use: the lasting cache, or an empty one of its own inside `fresh`."""
        return FeatureCache() if self._fresh else self._cache

    def keys(self, queries: Sequence[Query]) -> list[str | None]:
        """What is seen of the image of each query, by a name; None for those without one."""
        known: dict[object, str] = {}
        return [
            None if query.image is None else self._key(query.image, query.prompt, known) for query in queries
        ]

    def layouts(self, queries: Sequence[Query], cache: FeatureCache) -> list[Layout | None]:
        """How the image of each query lies in its row. No weight has a part in that, so it is kept."""
        fixed = self._family.fixed_layout
        if fixed is not None:
            return [None if query.image is None else fixed for query in queries]
        keys = self.keys(queries)
        if any(key and _image_of(key) not in self._layouts for key in keys):
            # All of them, since images are encoded in the order of their queries.
            self.of(queries, cache, keys)
        return [None if key is None else self._layouts[_image_of(key)] for key in keys]

    def of(
        self, queries: Sequence[Query], cache: FeatureCache, known: Sequence[str | None] | None = None
    ) -> list[Seen]:
        """What is seen of the images of these queries, those that have one, in order; keys may be known."""
        named = zip(queries, self.keys(queries) if known is None else known, strict=True)
        pairs, keys = [], []
        for query, key in named:
            if query.image is not None and key is not None:
                pairs.append((query.image, query.prompt))
                keys.append(key)
        distinct = dict(zip(keys, pairs, strict=True))
        # Held here as well as in the cache, which may drop some of them before the call is done.
        found = {key: kept for key in distinct if (kept := cache.get(key)) is not None}
        missing = [key for key in distinct if key not in found]
        with torch.set_grad_enabled(self._fresh and torch.is_grad_enabled()):
            for chunk in self._chunks(missing):
                found.update(zip(chunk, self._see({key: distinct[key] for key in chunk}), strict=True))
        for key in missing:
            cache.put(key, found[key])
        self._layouts.update((_image_of(key), seen.layout) for key, seen in found.items())
        return [found[key] for key in keys]

    def _key(self, image: Image, prompt: str, known: dict[object, str]) -> str:
        # By its path, or as the object it is: files are read once for all queries about them.
        name = image if isinstance(image, Path) else id(image)
        if name not in known:
            known[name] = image_key(image)
        return f"{known[name]} {prompt}" if self._family.sees_prompt else known[name]

    def _chunks(self, keys: Sequence[str]) -> Iterator[Sequence[str]]:
        """Images that are encoded at a time, about as many each time."""
        start = 0
        while start < len(keys):
            rest = len(keys) - start
            end = start + -(-rest // -(-rest // self._most()))
            yield keys[start:end]
            start = end

    def _most(self) -> int:
        if self._apart:
            return 1
        # Of the first ones it is not known yet how large they are.
        size = self._family.image_bytes or CPU_BYTES // 8
        return max(2, min(VISION_BATCH, CPU_BYTES // size)) if self._on_cpu else VISION_BATCH

    def _see(self, asked: Mapping[str, tuple[Image, str]]) -> list[Seen]:
        open_one = self._opening.take if self._opening is not None else lambda _, image: open_image(image)
        pictures = [open_one(key, image) for key, (image, _) in asked.items()]
        prompts = [prompt for _, prompt in asked.values()]
        self._counts.vision += len(pictures)
        if len(pictures) == 1 and self._on_cpu and not self._fresh:
            # What is kept of an image shall not tell whether it had company, and on a CPU the last bits do.
            return self._family.see(pictures * 2, prompts * 2)[:1]
        return self._family.see(pictures, prompts)

    @property
    def _on_cpu(self) -> bool:
        return self._family.model.device.type == "cpu"


def _image_of(key: str) -> str:
    """The part of a key that no prompt has a part in."""
    return key.partition(" ")[0]
