"""What images of COCO are called, and where folders of them have them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from mmedit_build.files import is_folder
from mmedit_build.image_files import image_path

_IN_NAME = re.compile(r"COCO_(\w+)_\d{12}\.")


def image_name(subset: str, image_id: int) -> str:
    """The name of an image in COCO, such as COCO_val2014_000000000042.jpg."""
    return f"COCO_{subset}_{image_id:012d}.jpg"


def subset_of(file_name: str, otherwise: str) -> str:
    """The part of COCO that an image is of, as its name tells; the images of 2017 are named by ids alone."""
    found = _IN_NAME.match(file_name)
    return found.group(1) if found else otherwise


class Folders:
    """Where images lie: in the folder given, or in one folder for each part of COCO below it."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._parts: dict[str | None, PurePosixPath] = {None: PurePosixPath()}

    def image(self, name: str, part: str | None, where: str) -> Path:
        """The path of an image that `where` names; `part` is val2014 or the like, if the source tells it."""
        if part not in self._parts:
            below = PurePosixPath(str(part))
            self._parts[part] = below if is_folder(self._images / below) else PurePosixPath()
        return image_path(self._images, str(self._parts[part] / name), where)
