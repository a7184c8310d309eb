"""What a model sees of images, on disk: a file for each, so that no later process encodes them again."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.mllm.families.pieces import Seen
from mmedit_build.mllm.rows import Layout
from mmedit_build.store import write_atomic

VERSION = 1
FOLDER_BYTES = 2**32
"""How much a folder may take: 13,000 images of BLIP-2 OPT-2.7B in float32, 900 of LLaVA-1.5 in bfloat16."""
UNREADABLE = (OSError, KeyError, TypeError, ValueError, SafetensorError)
"""What is raised on files that are missing or damaged: their images are encoded again."""

logger = logging.getLogger(__name__)


class KeptFeatures:
    """A folder of what one model sees; once it is full, no more is added."""

    def __init__(self, folder: Path, device: torch.device, limit: int = FOLDER_BYTES) -> None:
        self._folder = folder
        self._device = device
        self._room = limit - sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def get(self, key: str) -> Seen | None:
        """What is known of an image."""
        try:
            data = read_bytes(self._path(key), FOLDER_BYTES)
            return self._read(key, data)
        except UNREADABLE:
            return None

    def put(self, key: str, seen: Seen) -> None:
        """Keep what was seen, if there is room."""
        if seen.nbytes > self._room:
            return
        layout = seen.layout
        laid = {"text": layout.text, "counts": layout.counts, "grid": layout.grid}
        tensors = {f"deep.{number}": one for number, one in enumerate(seen.deep)} | {
            "features": seen.features
        }
        placed = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
        data = save(placed, {"about": json.dumps({"version": VERSION, "key": key, **laid})})
        try:
            write_atomic(self._path(key), data)
        except UserError as error:
            # Nobody asked for this file, and all goes on without it.
            logger.warning("features of images are not kept: %s", error)
            self._room = 0
            return
        self._room -= len(data)

    def _read(self, key: str, data: bytes) -> Seen:
        about: dict[str, Any] = json.loads(_metadata(data)["about"])
        if (about["version"], about["key"]) != (VERSION, key):
            raise ValueError(f"holds {about['key']}")
        tensors = {name: one.to(self._device) for name, one in load(data).items()}
        grid = about["grid"] and tuple(about["grid"])
        deep = tuple(tensors[f"deep.{number}"] for number in range(len(tensors) - 1))
        return Seen(tensors["features"], Layout(about["text"], tuple(about["counts"]), grid), deep)

    def _path(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}.safetensors"


def _metadata(data: bytes) -> dict[str, str]:
    """The header's own fields: what `load` leaves out."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found
