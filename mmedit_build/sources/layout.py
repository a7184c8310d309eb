"""Source files in JSON: reading them into a layout, and telling in one sentence what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.json_files import MOST_BYTES

Content = TypeVar("Content")


@dataclass(frozen=True)
class Layout(Generic[Content]):
    """What a kind of source files looks like."""

    content: TypeAdapter[Content]
    kind: str
    """What messages call it, such as VQAv2 questions."""
    example: str
    """A file of one row, with all that is read of it."""

    def load(self, path: Path) -> Content:
        """The content of a file."""
        return self.parse(read(path, self.kind), path)

    def parse(self, data: bytes, path: Path) -> Content:
        """The same of its bytes; only what the layout names is kept."""
        try:
            return self.content.validate_json(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"]) or "the file"
            raise UserError(
                f"{path} is not a {self.kind} file ({place}: {first['msg']}); give the official file, "
                f"complete, or one that looks like {self.example}."
            ) from error


def read(path: Path, kind: str) -> bytes:
    """The bytes of a source file."""
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"Cannot read the {kind} file {path} ({error.strerror}); check its path.") from error
