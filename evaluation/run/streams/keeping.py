"""The patch of an order that is under way, on disk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from editors.base import Editor, Patch
from editors.saving import load_patch, save_patch
from mmedit_build.storage.copies import refresh, removed


@dataclass(frozen=True, slots=True)
class Keeping:
    """One file, whose name says of how many edits it is."""

    folder: Path
    order: int
    device: torch.device
    editor: Editor

    def taken_up(self, online: Collection[int], *, before: int) -> tuple[int, Patch | None]:
        """The patch of the most edits that are fewer than `before`, and of how many it is.

        `online` are the positions with results: without those it is not known what the patch makes.
        """
        there = sorted(self._files(), key=_number, reverse=True)
        for path in there:
            if _number(path) < before and all(position in online for position in range(_number(path))):
                return _number(path), load_patch(path, self.device, self.editor)
        return 0, None

    def keep(self, number: int, patch: Patch) -> Patch:
        """Keep a patch in the place of the one before, and give it back as it will be read."""
        path = self.folder / f"order-{self.order}-{number}.safetensors"
        before = self._files()
        save_patch(patch, path)
        self._remove([one for one in before if one != path])
        return load_patch(path, self.device, self.editor)

    def end(self) -> None:
        """Nothing goes on from here."""
        self._remove(self._files())

    def _files(self) -> list[Path]:
        refresh(self.folder)
        return list(self.folder.glob(f"order-{self.order}-*.safetensors"))

    def _remove(self, files: Collection[Path]) -> None:
        for path in files:
            path.unlink(missing_ok=True)
            removed(path)


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
