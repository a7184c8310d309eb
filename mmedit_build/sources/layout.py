"""Source files in JSON: reading them into a layout, and telling in one sentence what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mmedit_build.errors import UserError
from mmedit_build.files import open_file, read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.sources.parts import read_parts

PART = 4 << 20
"""How many bytes of a source file are read at a time."""

Content = TypeVar("Content")


@dataclass(frozen=True)
class Layout(Generic[Content]):
    """What a kind of source files looks like."""

    content: type[Content]
    """A TypedDict."""
    kind: str
    """What messages call it, such as VQAv2 questions."""
    example: str
    """A file of one row, with all that is read of it."""

    def load(self, path: Path) -> Content:
        """The content of a file; only what the layout names is kept."""
        content = self._of_parts(path)
        return self._of_all(path) if content is None else content

    def _of_parts(self, path: Path) -> Content | None:
        """That of a large file, of which memory holds no more than a part besides; None of a small one, and
        of one that has to be seen whole to tell what is wrong with it."""
        content: dict[str, Any] = {}
        try:
            with open_file(path) as file:
                if not PART < os.fstat(file.fileno()).st_size <= MOST_BYTES:
                    return None
                for part in read_parts(file, PART):
                    for name in part.keys() & self._members.keys():
                        found = self._members[name].validate_python(part[name])
                        if isinstance(found, list):
                            content.setdefault(name, []).extend(found)
                        else:
                            content[name] = found
        except (OSError, ValueError):
            return None
        return cast("Content", content) if content.keys() == self._members.keys() else None

    @cached_property
    def _members(self) -> dict[str, TypeAdapter[Any]]:
        named = get_type_hints(self.content, include_extras=True)
        return {name: TypeAdapter(kind) for name, kind in named.items()}

    def _of_all(self, path: Path) -> Content:
        with _told(path, self.kind):
            data = read_bytes(path, MOST_BYTES)
        try:
            return TypeAdapter(self.content).validate_json(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"]) or "the file"
            raise UserError(
                f"{path} is not a {self.kind} file ({place}: {first['msg']}); give the official file, "
                f"complete, or one that looks like {self.example}."
            ) from error


def beginning(path: Path, kind: str) -> bytes:
    """The first bytes of a source file, which tell its layout."""
    with _told(path, kind), open_file(path) as file:
        return file.read(PART)


@contextmanager
def _told(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"Cannot read the {kind} file {path} ({error.strerror}); check its path.") from error
