"""What lies in storage, by way of fsspec. Keys are names below the scheme, as in bucket/run/log.txt."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mmedit_build.errors import UserError, first_line
from mmedit_build.secrecy import hide

TOKENS = ("ETag", "etag", "generation", "md5Hash", "xet_hash", "blob_id", "oid", "mtime", "created")
"""What tells versions of a file apart, as different stores call it."""
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN")
"""Variables whose values no message shows."""
PACKAGES = {"s3": "mmedit[s3]", "gs": "gcsfs"}
"""What brings what fsspec needs."""


@dataclass(frozen=True)
class Remote:
    """One kind of storage."""

    scheme: str

    @cached_property
    def _system(self) -> Any:
        # Imported here, as most commands have nothing in storage.
        import fsspec

        try:
            return fsspec.filesystem(self.scheme, use_listings_cache=False)
        except ImportError as error:
            raise UserError(
                f"What reads {self.scheme}:// is not installed: "
                f'`pip install "{PACKAGES.get(self.scheme, self.scheme)}"` does that.'
            ) from error

    def listing(self, key: str) -> Iterator[tuple[str, str]]:
        """All files at a key and below it, each with what tells its version."""
        with self._told(key, "read"):
            self._system.invalidate_cache()
            found: dict[str, Any] = self._system.find(key, detail=True)
        while found:
            name, about = found.popitem()
            yield name.lstrip("/"), _version(about)

    def version(self, key: str) -> str | None:
        """What tells the version of a file; None if there is none."""
        with self._told(key, "read"):
            try:
                about = self._system.info(key)
            except FileNotFoundError:
                return None
        return None if about["type"] == "directory" else _version(about)

    def is_folder(self, key: str) -> bool:
        """Whether anything lies below a key."""
        with self._told(key, "read"):
            return bool(self._system.isdir(key))

    def fetch(self, key: str, path: Path) -> None:
        """Write a file of storage to a path."""
        with self._told(key, "read"):
            self._system.get_file(key, str(path))

    def send(self, path: Path, key: str) -> str:
        """Have a file in storage, whole or not at all; what tells its version."""
        with self._told(key, "write"):
            self._system.put_file(str(path), key)
        return self.version(key) or ""

    def remove(self, keys: Sequence[str]) -> None:
        """Files that are to be there no more; they may be gone already."""
        with self._told(keys[0], "write"):
            for key in keys:
                try:
                    self._system.rm_file(key)
                except FileNotFoundError:
                    continue

    def create(self, key: str, data: bytes) -> bool:
        """Write a small file if there is none; whether there was none."""
        with self._told(key, "write"):
            try:
                self._system.pipe_file(key, data, mode="create")
            except FileExistsError:
                return False
        return True

    def write(self, key: str, data: bytes) -> None:
        """Write a small file."""
        with self._told(key, "write"):
            self._system.pipe_file(key, data)

    def read(self, key: str) -> bytes | None:
        """A small file; None if there is none."""
        with self._told(key, "read"):
            self._system.invalidate_cache()
            try:
                data: bytes = self._system.cat_file(key)
            except FileNotFoundError:
                return None
        return data

    @contextmanager
    def _told(self, key: str, doing: str) -> Iterator[None]:
        """Turn what stores and networks complain of into one sentence; each store has its own errors."""
        try:
            yield
        except Exception as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"Cannot {doing} {self.scheme}://{key} ({_reason(error)}): check the address, the network "
                "and the credentials, and give the same command again."
            ) from error


def _reason(error: Exception) -> str:
    text = first_line(error) or type(error).__name__
    for name in SECRETS:
        text = hide(text, os.environ.get(name, ""))
    return text


def _version(about: Mapping[str, Any]) -> str:
    mark = next((about[name] for name in TOKENS if about.get(name) is not None), "")
    # Times are told in several ways, even by one store.
    if isinstance(mark, datetime):
        mark = mark.timestamp()
    return f"{mark:.6f}/{about['size']}" if isinstance(mark, float) else f"{mark}/{about['size']}"
