"""What an audit looks at: the edits of a dataset, and their pictures where they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmedit_build.image_files import read_image
from mmedit_build.rows import EditRow


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
    edits: Sequence[EditRow]
    """All are in a split. What no stage has added yet, or what their format does not have, is None."""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """By the ids of edits, for datasets whose images are files: the original, then the rephrased."""
    embedded: Callable[[Sequence[str]], Mapping[str, Pictures]] = _no_pictures
    """Fetches the images of some edits of a dataset that has its images in itself."""

    def pictures(self, ids: Sequence[str]) -> Mapping[str, Pictures]:
        """The images of some edits; what is missing is left out."""
        if not self.files:
            return self.embedded(ids)
        return {name: Pictures(*map(_bytes, self.files[name])) for name in ids if name in self.files}


def _bytes(path: Path) -> bytes | None:
    try:
        return read_image(path)
    except OSError:
        return None
