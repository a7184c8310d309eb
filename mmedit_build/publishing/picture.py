"""A picture of some edits: both images, the question and its rephrase, the wrong answer and the target."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageOps

from mmedit_build.errors import UserError
from mmedit_build.pictures import open_image
from mmedit_build.rows import TASKS, EditRow, Proposal
from mmedit_build.sheet import PICTURE, Entry, Line, contact_sheet, drawable
from mmedit_build.store import write_atomic
from mmedit_build.work import Work

SHOWN = {"vqa": 8, "caption": 4}
"""How many edits of each task are shown."""
_BETWEEN = 4
"""Pixels between the two images."""


def write_picture(path: Path, edits: Iterable[EditRow], work: Work) -> None:
    """Draw the first finished edits of each task that can be drawn: images that are none are told with their
    rows by the check of the whole dataset, all at once."""
    by_task = [list(islice((edit for edit in edits if edit.task == task), SHOWN[task])) for task in TASKS]
    drawn = (_drawn(edit, work) for chosen in by_task for edit in chosen)
    entries = [entry for entry in drawn if entry is not None]
    if not entries:
        return
    sheet = contact_sheet(entries)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())


def _drawn(edit: EditRow, work: Work) -> Entry | None:
    try:
        return entry_of(edit, work)
    except UserError:
        return None


def entry_of(edit: EditRow, work: Work) -> Entry:
    """A finished edit as it is drawn."""
    assert edit.rephrase is not None
    assert edit.imagined is not None
    images = (edit.image, edit.imagined.image)
    lines = [
        Line(edit.question),
        Line(edit.prediction, "wrong"),
        *_why(edit),
        Line(edit.target, "right"),
        Line(edit.rephrase.text, "note"),
        *(Line(f"{hop.question} {hop.answer}", "note") for hop in _hops(edit)[:1]),
    ]
    return Entry(_pair([open_image(work.path(image)) for image in images]), lines)


def _why(edit: EditRow) -> list[Line]:
    """What is wrong with a caption."""
    found = (("wrong", edit.said_wrong), ("left out", edit.left_out))
    return [Line(f"{name}: {', '.join(words)}", "note") for name, words in found if words]


def _hops(edit: EditRow) -> Sequence[Proposal]:
    return edit.portability.hops if edit.portability else ()


def _pair(images: Sequence[Image.Image]) -> Image.Image:
    """Two images side by side in one square, with a line between them."""
    side = (PICTURE - _BETWEEN) // 2
    whole = Image.new("RGB", (PICTURE, side), "white")
    for number, image in enumerate(images):
        whole.paste(ImageOps.contain(drawable(image), (side, side)), (number * (side + _BETWEEN), 0))
    return whole
