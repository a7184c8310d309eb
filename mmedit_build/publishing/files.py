"""The files of a dataset folder and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.columns import CONFIGS

CARD = "README.md"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
PICTURE = "rows.png"
BENCHMARK = "eval.yaml"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of a dataset."""

    name: str
    """Relative to the folder of the dataset, with slashes."""
    path: Path
    size: int
    sha256: str
    blob: str
    """The id that git gives to the content, by which the Hub names its small files."""

    @classmethod
    def read(cls, path: Path, folder: Path) -> File:
        size = path.stat().st_size
        sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                sha256.update(block)
                blob.update(block)
        return cls(path.relative_to(folder).as_posix(), path, size, sha256.hexdigest(), blob.hexdigest())


def read_files(folder: Path) -> list[File]:
    """All files of a folder, by name."""
    files = (File.read(path, folder) for path in folder.rglob("*") if path.is_file())
    return sorted(files, key=lambda file: file.name)


def is_ours(name: str) -> bool:
    """Whether a file of a repository is one of those that are published, now or by an earlier build."""
    return name in (CARD, MANIFEST, CHECKSUMS, PICTURE, BENCHMARK) or name.startswith(
        tuple(f"data/{config}/" for config in CONFIGS)
    )


def checksums(files: Iterable[File]) -> str:
    """In the format of sha256sum."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in files)
