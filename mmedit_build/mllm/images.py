"""Images as queries carry them: opening them, and telling whether two are the same."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import PIL.Image

from mmedit_build.errors import UserError

Image = PIL.Image.Image | bytes | Path
"""A decoded picture, the bytes of an encoded one, or the file that holds it."""


def image_key(image: Image) -> str:
    """A digest of the content: of the encoded bytes, or of the pixels of a decoded picture."""
    if isinstance(image, PIL.Image.Image):
        picture = image.convert("RGB")
        content = f"{picture.size}".encode() + picture.tobytes()
    else:
        content = _encoded(image)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def open_image(image: Image) -> PIL.Image.Image:
    """The picture in RGB."""
    if isinstance(image, PIL.Image.Image):
        return image.convert("RGB")
    try:
        return PIL.Image.open(io.BytesIO(_encoded(image))).convert("RGB")
    except OSError as error:
        name = image if isinstance(image, Path) else f"a value of {len(image)} bytes"
        raise UserError(f"Cannot read {name} as an image: give a complete JPEG or PNG file.") from error


def _encoded(image: bytes | Path) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return image.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the image file {image}: check the path.") from error
