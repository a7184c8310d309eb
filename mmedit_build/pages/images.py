"""Pictures as responses: whole ones as they are, small ones for lists."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
from fastapi import Response

from mmedit_build.errors import UserError
from mmedit_build.image_files import UNREADABLE, open_encoded, read_image
from mmedit_build.thumbnails import thumbnail

SMALL = 192
"""The longest side of a small one in pixels: twice what lists show, for sharp screens."""
_KEPT = {"cache-control": "private, max-age=3600"}


def picture(path: str | None, data: bytes | None, *, small: bool = False) -> Response:
    """An image of a file, or embedded; a UserError if it cannot be shown."""
    try:
        encoded = data if data is not None else read_image(Path(path or ""))
        if small:
            found = thumbnail(encoded, SMALL)
            if found is None:
                raise ValueError("no image")
            return Response(found[1], media_type=found[0], headers=_KEPT)
        with open_encoded(encoded) as opened:
            kind = PIL.Image.MIME[opened.format or ""]
    except UNREADABLE as error:
        raise UserError(f"The picture {path or ''} cannot be shown; is it still there?") from error
    return Response(encoded, media_type=kind, headers=_KEPT)
