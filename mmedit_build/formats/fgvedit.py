"""FGVEdit: one image a row, another question about it that the edit changes, and one that it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmedit_build.formats.base import Format, Keys
from mmedit_build.formats.mmedit import EXAMPLE
from mmedit_build.formats.rows import Asked, ReleasedRow

FILES = ("train_data.json", "test_data.json")
"""The files of a dataset."""


class _FGVEditKeys(Keys):
    src: str
    rephrase: str
    alt: str
    image: str
    fg_gen_q: str
    fg_gen_a: str
    loc: str
    loc_ans: str
    fg_loc_q: str
    fg_loc_a: str


def _read(source: Mapping[str, Any]) -> ReleasedRow:
    keys = _FGVEditKeys.model_validate(source)
    return ReleasedRow(
        src=keys.src,
        rephrase=keys.rephrase,
        alt=keys.alt,
        image=keys.image,
        loc=keys.loc,
        loc_ans=keys.loc_ans,
        again=Asked(keys.fg_gen_q, keys.fg_gen_a),
        beside=Asked(keys.fg_loc_q, keys.fg_loc_a),
        source=source,
    )


FGVEDIT = Format(
    "FGVEdit",
    frozenset({"fg_gen_q", "fg_gen_a", "fg_loc_q", "fg_loc_a"}),
    _read,
    {
        **{key: EXAMPLE[key] for key in ("src", "rephrase", "alt", "image", "loc", "loc_ans")},
        **{"fg_gen_q": "Is the car red?", "fg_gen_a": "yes"},
        **{"fg_loc_q": "How many wheels are there?", "fg_loc_a": "4"},
    },
)
