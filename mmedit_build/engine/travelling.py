"""Paths on their way through a cluster: each machine has copies of storage in a folder of its own."""

from __future__ import annotations

from pathlib import Path, PosixPath

from mmedit_build.storage.addresses import address_of, is_copy, local_path


def let_paths_travel() -> None:
    """From now on, have what this process sends name copies by their addresses."""
    from ray.util import register_serializer

    register_serializer(PosixPath, serializer=_packed, deserializer=_unpacked)


def _packed(path: Path) -> tuple[bool, str]:
    return (True, address_of(path)) if is_copy(path) else (False, str(path))


def _unpacked(packed: tuple[bool, str]) -> Path:
    of_storage, text = packed
    return local_path(text) if of_storage else Path(text)
