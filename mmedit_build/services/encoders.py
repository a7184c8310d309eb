"""What a recipe names to tell how near questions and images are: opened when needed, its vectors kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmedit_build.recipe import Neighbors
from mmedit_build.services.vectors import Vectors
from mmedit_build.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from mmedit_build.services.images.resemblance import Resemblance

Floats = NDArray[np.float32]
Advance = Callable[[int], None]
VERSION = 1
"""Raised when other vectors are made of the same texts and images."""


class Encoders:
    """The encoders of texts and images of one recipe."""

    def __init__(self, config: Neighbors, work: Work, folder: Path) -> None:
        self._config = config
        self._work = work
        self._folder = folder

    def texts(self, texts: Iterable[str], advance: Advance) -> dict[str, Floats]:
        """By text, its vector of length 1."""
        chosen = self._config.text or self._config
        about = {"version": VERSION, "model": chosen.model, "revision": chosen.revision, "of": "text"}
        return Vectors(self._folder / "texts", about).of(texts, self._embed_texts, advance)

    def images(self, names: Iterable[str], advance: Advance) -> dict[str, Floats]:
        """By the name that rows have for an image, its vector of length 1."""
        about = {"version": VERSION, "model": self._config.model, "revision": self._config.revision}
        return Vectors(self._folder / "images", about).of(names, self._embed_images, advance)

    def _embed_texts(self, texts: Sequence[str]) -> Floats:
        return _stacked(self._reader(texts))

    def _embed_images(self, names: Sequence[str]) -> Floats:
        return _stacked(self._matcher.image_vectors([self._work.path(name) for name in names]))

    @cached_property
    def _reader(self) -> Callable[[Sequence[str]], Sequence[Tensor]]:
        if self._config.text is None:
            return self._matcher.text_vectors
        from mmedit_build.services.embedding import Embedder

        return Embedder.load(self._config.text).vectors

    @cached_property
    def _matcher(self) -> Resemblance:
        from mmedit_build.services.images.resemblance import Resemblance

        return Resemblance.open(self._config, self._config.device)


def _stacked(vectors: Sequence[Tensor]) -> Floats:
    return np.stack([vector.float().numpy() for vector in vectors])
