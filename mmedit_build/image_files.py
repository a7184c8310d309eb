"""The one way from the name of an image to its picture: it leaves no folder, and has bounds."""

from __future__ import annotations

import io
import os
from pathlib import Path, PurePosixPath

import PIL.Image

from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes

MOST_BYTES = 64 << 20
MOST_PIXELS = 89_478_485
"""Bounds of one image, generous for photos. So many pixels take 256 MB, and are what Pillow warns at."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
"""What is taken for an image. Pillow knows more, and calls other programs for some of these."""

_SHOWN = 200
"""How many letters of a name a message shows."""

UNREADABLE = (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError)
"""What reading, opening and decoding raise on what is no whole image, or is beyond the bounds."""


def image_path(folder: Path, name: str, where: str) -> Path:
    """The file of an image that `where` names, which must lie in a folder; it need not be there.

    The folder may be a link, and so may be what is in it, as long as it leads nowhere else.
    """
    parts, shown = PurePosixPath(name).parts, repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
    if ".." in parts or name.startswith("/"):
        raise UserError(
            f"{where} names the image {shown}, which leads out of the folder {folder}; give names that stay "
            "in the folder of the images."
        )
    path = folder / name
    if _has_link(folder, parts) and not _leads_into(folder, path):
        raise UserError(
            f"{where} names the image {shown}, a link that leads out of the folder {folder}; give the "
            "folder that really holds the images, or copy them there."
        )
    return path


def name_in_source(image: str, image_id: str | None) -> str:
    """The name that an image has in the folder of its source's images, which any id but a number is."""
    return PurePosixPath(image).name if image_id is None or image_id.isdecimal() else image_id


def read_image(path: Path) -> bytes:
    """The encoded image; an OSError if it cannot be read or is too large."""
    return read_bytes(path, MOST_BYTES)


def open_encoded(data: bytes) -> PIL.Image.Image:
    """The picture, of which only the head is decoded yet; one of UNREADABLE if that cannot be done."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES:,} bytes")
    image = PIL.Image.open(io.BytesIO(data))
    if image.format not in FORMATS:
        raise ValueError(f"in the format {image.format}")
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"more than {MOST_PIXELS:,} pixels")
    return image


def _has_link(folder: Path, parts: tuple[str, ...]) -> bool:
    path = str(folder)
    for part in parts:
        path = f"{path}/{part}"
        if os.path.islink(path):  # noqa: PTH114
            return True
    return False


def _leads_into(folder: Path, path: Path) -> bool:
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # of a name that no file can have
        return False
