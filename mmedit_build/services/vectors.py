"""Embeddings of texts and images, kept on disk in chunks: a killed command loses one of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmedit_build.engine.planning import digest
from mmedit_build.files import read_bytes
from mmedit_build.store import write_atomic

Floats = NDArray[np.float32]
CHUNK = 1024
MOST_BYTES = 2**28
"""Of a chunk's file."""


class Vectors:
    """What one encoder makes of texts, or of images."""

    def __init__(self, folder: Path, about: Mapping[str, object]) -> None:
        """`about` is all that vectors depend on besides what is embedded."""
        self._folder = folder
        self._about = dict(about)

    def of(
        self,
        names: Iterable[str],
        embed: Callable[[Sequence[str]], Floats],
        advance: Callable[[int], None],
    ) -> dict[str, Floats]:
        """The vector of each name; what is not there yet is computed, and what is needed no more goes."""
        distinct = sorted(set(names))
        found: dict[str, Floats] = {}
        used: set[Path] = set()
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            path = self._folder / f"{digest([self._about, chunk])}.npy"
            used.add(path)
            vectors = _read(path, len(chunk))
            if vectors is None:
                vectors = np.asarray(embed(chunk), dtype=np.float32)
                write_atomic(path, _written(vectors))
            found.update(zip(chunk, vectors, strict=True))
            advance(len(chunk))
        for path in self._folder.glob("*.npy"):
            if path not in used:
                path.unlink()
        return found


def _written(vectors: Floats) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    return buffer.getvalue()


def _read(path: Path, number: int) -> Floats | None:
    """So many vectors; None if the file is not there or holds something else, as they are soon made again."""
    try:
        loaded = np.load(io.BytesIO(read_bytes(path, MOST_BYTES)), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = loaded.dtype == np.float32 and loaded.ndim == 2 and len(loaded) == number
    return loaded if fits and np.isfinite(loaded).all() else None
