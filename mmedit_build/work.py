"""The work folder of a build: where everything lies, and how rows name their images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmedit_build.files import is_file
from mmedit_build.image_files import image_path
from mmedit_build.storage.addresses import is_address, local_path, shown
from mmedit_build.store import locked, sweep, write_atomic

STAGES = ("mine", "rephrase", "imagine", "attach", "extend")
"""Those that make rows, in their order; each has a folder. Not every build has the last."""
FINISHED = ("extend", "attach")
"""The stages that end with finished edits; where there are both, the first has more."""
ROWS = "rows.jsonl"
"""What a stage ends with, in its folder."""


@dataclass(frozen=True, slots=True)
class Work:
    """One build on disk."""

    folder: Path

    def stage(self, name: str) -> Path:
        """Where a stage keeps its shards and rows."""
        return self.folder / name

    @property
    def sources(self) -> Path:
        """Drawn sources, and the images of sources that do not come as files."""
        return self.folder / "sources"

    @property
    def requests(self) -> Path:
        """Every paid reply, so that none is paid twice (SQLite)."""
        return self.folder / "requests.sqlite"

    @property
    def images(self) -> Path:
        """Generated images, named by their digests."""
        return self.folder / "images"

    @property
    def dataset(self) -> Path:
        """The dataset as it is published."""
        return self.folder / "dataset"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def path(self, image: str) -> Path:
        """The file of an image that a row names; a relative name leads nowhere but into the work folder.

        Its own folders, such as `sources`, may be links to another disk.
        """
        if is_address(image):
            return local_path(image)
        name = PurePosixPath(image)
        if name.is_absolute():
            return Path(image)
        top = name.parts[0] if len(name.parts) > 1 and ".." not in name.parts else ""
        return image_path(self.folder / top, str(name.relative_to(top)), f"A row in {self.folder}")

    def name(self, image: Path) -> str:
        """How rows name an image: relative to the work folder if it lies in it, absolute if not; one of a
        source in storage by its address, which all machines understand."""
        absolute = image.absolute()
        folder = self.folder.absolute()
        # What is given as W/sources/../photos begins like the work folder, but need not lie in it.
        within = absolute.is_relative_to(folder) and ".." not in absolute.relative_to(folder).parts
        return str(absolute.relative_to(folder)) if within else shown(absolute)

    @property
    def finished(self) -> str | None:
        """The stage whose rows are the finished edits; None if there are none yet."""
        return next((name for name in FINISHED if is_file(self.stage(name) / ROWS)), None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out of the folder meanwhile, and clear away what a killed one left half written."""
        busy = f"Another command is at work in {shown(self.folder)}; wait for it, or choose another --work."
        with locked(self.folder, busy):
            sweep(self.folder)
            yield


def put_image(work: Work, data: bytes, suffix: str) -> str:
    """Keep an encoded image under the digest of its bytes, and return how rows name it."""
    digest = hashlib.sha256(data).hexdigest()
    path = work.images / digest[:2] / f"{digest}{suffix}"
    if not path.is_file() or path.read_bytes() != data:
        write_atomic(path, data)
    return work.name(path)
