"""Images of a dataset, which may not be there: each such edit is skipped, and all of them are a mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.pictures import Image, image_key


def key_of_image(image: Image | None) -> str | None:
    """A digest of an image; of its path where there is no such file, so that edits are still told apart."""
    try:
        return None if image is None else image_key(image)
    except UserError:
        return hashlib.blake2b(f"no file {image!r}".encode(), digest_size=16).hexdigest()


def check_there(dataset: str, pictures: Sequence[bytes | Path | None]) -> None:
    """Refuse a dataset of which no image is there."""
    named = [one for one in pictures if isinstance(one, Path)]
    if named and len(named) == len(pictures) and not any(is_file(one) for one in named):
        raise UserError(
            f"None of the images that {dataset} names is there, such as {named[0]}; give their folder with "
            "--images."
        )
