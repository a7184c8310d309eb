"""Source files in JSON: reading them into a layout, and telling in one sentence what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from mmedit_build.errors import UserError

Layout = TypeVar("Layout")


def load(layout: TypeAdapter[Layout], path: Path, role: str, origin: str) -> Layout:
    """A file in the layout of its origin; `role` is what it holds, such as questions."""
    return parse(layout, read(path, role), path, f"{origin} {role}")


def read(path: Path, role: str) -> bytes:
    """The bytes of a source file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the {role} file {path} ({error.strerror}); check its path.") from error


def parse(layout: TypeAdapter[Layout], data: bytes, path: Path, kind: str) -> Layout:
    """The content of a source file, of which only what the layout names is kept."""
    try:
        return layout.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise UserError(
            f"{path} is not a {kind} file ({place}: {first['msg']}); "
            "give the official file, complete, or one of the same layout."
        ) from error
