"""Edits for methods that act on questions about images alone."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

from editors.base import Edit, TrainEdit
from mmedit_build.errors import UserError


def with_images(train: Sequence[TrainEdit]) -> list[TrainEdit]:
    """Those that such a method can learn from."""
    return [one for one in train if one.edit.image is not None]


def check_images(edits: Sequence[Edit]) -> None:
    """Refuse edits without an image."""
    for edit in edits:
        if edit.image is None:
            raise UserError(
                "This method acts on questions about images alone, and the edit of "
                f"{shorten(edit.prompt, 60)!r} has none: edit answers about images."
            )
