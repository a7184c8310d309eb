"""Images as queries carry them: opening them, and telling whether two are the same. Without any library of
models, which take seconds and hundreds of megabytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from mmedit_build.errors import UserError
from mmedit_build.image_files import UNREADABLE, open_encoded, read_image

Image = PIL.Image.Image | bytes | Path
"""A decoded picture, the bytes of an encoded one, or the file that holds it."""


def image_key(image: Image) -> str:
    """A digest of the content: of the encoded bytes, or of the pixels of a decoded picture."""
    if isinstance(image, PIL.Image.Image):
        picture = _upright(image)
        content = f"{picture.size}".encode() + picture.tobytes()
    else:
        content = _encoded(image)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def open_image(image: Image) -> PIL.Image.Image:
    """The picture in RGB, the way up that its EXIF says."""
    if isinstance(image, PIL.Image.Image):
        return _upright(image)
    try:
        return _upright(open_encoded(_encoded(image)))
    except UNREADABLE as error:
        name = image if isinstance(image, Path) else f"a value of {len(image)} bytes"
        raise UserError(
            f"Cannot read {name} as an image: give a complete JPEG or PNG of 8 bits a channel."
        ) from error


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith(("I", "F")):
        # Pillow would cut off all but the darkest of these values, and leave a white picture.
        raise ValueError(f"pictures of mode {image.mode} have more than 8 bits a channel")
    return PIL.ImageOps.exif_transpose(image).convert("RGB")


def _encoded(image: bytes | Path) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return read_image(image)
    except OSError as error:
        raise UserError(f"Cannot read the image file {image} ({error.strerror}): check the path.") from error
