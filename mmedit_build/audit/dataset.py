"""What an audit looks at: the edits of a dataset, and their pictures where they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.image_files import read_image
from mmedit_build.rows import EditRow

FilesOf = Callable[[EditRow], Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The encoded images of an edit, as far as they are at hand."""

    image: bytes | None = None
    image_rephrase: bytes | None = None


def _no_pictures(ids: Sequence[str]) -> Mapping[str, Pictures]:  # noqa: ARG001
    return {}


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset to audit."""

    name: str
    edits: Iterable[EditRow]
    """All are in a split; they may be gone through several times. What no stage has added yet, or what their
    format does not have, is None."""
    files: FilesOf | None = None
    """The images of an edit, for datasets whose images are files: the original, then the rephrased."""
    embedded: Callable[[Sequence[str]], Mapping[str, Pictures]] = _no_pictures
    """Fetches the images of some edits of a dataset that has its images in itself, by ids."""

    def pictures(self, edits: Sequence[EditRow]) -> Mapping[str, Pictures]:
        """The images of some edits by their ids; what is missing is left out."""
        if self.files is None:
            return self.embedded([edit.id for edit in edits])
        return {edit.id: Pictures(*map(_bytes, self.files(edit))) for edit in edits}


def _bytes(path: Path) -> bytes | None:
    try:
        return read_image(path)
    except OSError:
        return None
