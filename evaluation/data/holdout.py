"""Which edits of the train split learning editors are validated on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from evaluation.data.cases import Case
from mmedit_build.errors import UserError


def split_by_image(cases: Sequence[Case], share: float) -> tuple[list[Case], list[Case]]:
    """The cases without, and those with, the share of images that their digests choose."""
    held_out = {case.image_id for case in cases if _fraction(case.image_id) < share}
    known = [case for case in cases if case.image_id not in held_out]
    kept = [case for case in cases if case.image_id in held_out]
    if not known or not kept:
        raise UserError(
            f"{len(cases)} edits of the train split are too few to learn from and to validate on; give more."
        )
    return known, kept


def _fraction(name: str) -> float:
    """A number from 0 to 1 that the name decides."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48
