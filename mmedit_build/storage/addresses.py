"""Addresses of files and folders in storage, and where their copies lie on this machine: one for one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmedit_build.errors import UserError

SCHEMES = {"s3": "S3 or what speaks like it", "gs": "Google", "hf": "the Hub", "memory": "tests"}
"""Where a file that is sent appears whole or not at all, which not all of what fsspec knows promises."""
ROOT_VARIABLE = "MMEDIT_STORAGE"
"""Names the folder of all copies."""
USUAL_ROOT = "~/.cache/mmedit/storage"
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


def is_address(text: str) -> bool:
    """Whether a text is no path of this machine and no id; one of a web page is no address either."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and found.group(1) not in ("http", "https")


def root() -> Path:
    """The folder of all copies."""
    return Path(os.environ.get(ROOT_VARIABLE) or USUAL_ROOT).expanduser().absolute()


def local_path(address: str) -> Path:
    """Where the copy of what lies at an address is, or will be; what file:// names is there itself."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    scheme, rest = found.groups()
    parts = [part for part in rest.split("/") if part]
    if scheme == "file":
        return Path("/", *parts)
    if scheme not in SCHEMES:
        raise UserError(
            f"mmedit cannot keep files at '{address}': addresses begin with s3://, gs:// or hf://. What else "
            "there is has to be mounted as a folder."
        )
    if not parts or not {".", ".."}.isdisjoint(parts):
        raise UserError(f"'{address}' names no folder in storage; addresses are like s3://bucket/folder.")
    return root() / scheme / Path(*parts)


def own_place(path: Path) -> Path:
    """Where this machine keeps what is large and soon made again, and is meant to lie at a path: there, but
    for a copy, of which it shall be no part."""
    return root().with_name(f"{root().name}-here") / path.relative_to(root()) if is_copy(path) else path


def is_copy(path: Path) -> bool:
    """Whether a path is that of a copy. Asked whenever a file is read or written, so it has to be cheap."""
    return str(path).startswith(f"{root()}{os.sep}")


def address_of(path: Path) -> str:
    """The address whose copy has this path."""
    scheme, *parts = path.relative_to(root()).parts
    return f"{scheme}://{'/'.join(parts)}"


def shown(path: Path) -> str:
    """A path as people named it."""
    return address_of(path) if is_copy(path) else str(path)
