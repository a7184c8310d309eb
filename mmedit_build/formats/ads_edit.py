"""ADS-Edit: MMEdit's keys but `pred`, with one image, several or a video in a row, as `image_type` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from mmedit_build.formats.base import Format, Keys
from mmedit_build.formats.mmedit import EXAMPLE
from mmedit_build.formats.rows import ReleasedRow


def _shown(value: object) -> object:
    if not isinstance(value, str | list | dict):
        raise ValueError("give the name of an image, or a list or an object of several")
    return value


Shown = Annotated[Any, AfterValidator(_shown)]


class _ADSEditKeys(Keys):
    image_type: str
    src: str
    rephrase: str
    alt: str
    image: Shown
    image_rephrase: Shown
    loc: str
    loc_ans: str
    m_loc: Shown
    m_loc_q: str
    m_loc_a: str


def _read(source: Mapping[str, Any]) -> ReleasedRow:
    keys = _ADSEditKeys.model_validate(source)
    return ReleasedRow(
        src=keys.src,
        rephrase=keys.rephrase,
        alt=keys.alt,
        image=_one(keys.image),
        image_rephrase=_one(keys.image_rephrase),
        loc=keys.loc,
        loc_ans=keys.loc_ans,
        m_loc=_one(keys.m_loc),
        m_loc_q=keys.m_loc_q,
        m_loc_a=keys.m_loc_a,
        source=source,
    )


def _one(shown: object) -> str:
    """The name of the image if it is one, else nothing."""
    only = shown[0] if isinstance(shown, list) and len(shown) == 1 else shown
    return only if isinstance(only, str) else ""


ADS_EDIT = Format(
    "ADS-Edit",
    frozenset({"image_type", "data_type"}),
    _read,
    {"image_type": "single", **{key: text for key, text in EXAMPLE.items() if key != "pred"}},
)
