"""Small versions of images, inside pages that stand alone."""

from __future__ import annotations

import base64
import io

import PIL.ImageOps

from mmedit_build.image_files import UNREADABLE, open_encoded

PICTURE = 320
"""The longest side of a picture in pixels."""
SMALL = 128
"""How long drawings are."""


def data_url(encoded: bytes, size: int = PICTURE, *, lossless: int = SMALL) -> str | None:
    """An image, made no longer than `size`, inside a URL; None if it is no image."""
    found = thumbnail(encoded, size, lossless=lossless)
    return found and f"data:{found[0]};base64,{base64.b64encode(found[1]).decode('ascii')}"


def thumbnail(encoded: bytes, size: int = PICTURE, *, lossless: int = SMALL) -> tuple[str, bytes] | None:
    """Its type and content.

    One that is no longer than `lossless` keeps all its pixels, and takes up more room for that.
    """
    try:
        with open_encoded(encoded) as opened:
            opened.draft("RGB", (size, size))
            image = PIL.ImageOps.exif_transpose(opened).convert("RGB")
    except UNREADABLE:
        return None
    # Drawings of a few pixels stay sharp; photos would be ten times larger so.
    kind, options = ("png", {}) if max(image.size) <= lossless else ("jpeg", {"quality": 85})
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, kind, optimize=True, **options)
    return f"image/{kind}", file.getvalue()
