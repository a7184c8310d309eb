"""MMEdit's JSON, which EasyEdit and its relatives read: flat rows of eleven texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmedit_build.formats.base import Format, Keys
from mmedit_build.formats.rows import KEYS, ReleasedRow
from mmedit_build.rows import Split, Task

FILES: dict[tuple[Task, Split], str] = {
    ("vqa", "train"): "vqa_train.json",
    ("vqa", "test"): "vqa_eval.json",
    ("caption", "train"): "caption_train_edit.json",
    ("caption", "test"): "caption_eval_edit.json",
}
"""The files of a dataset, by what is in them."""


class MMEditKeys(Keys):
    """The keys of a row."""

    src: str
    pred: str
    rephrase: str
    alt: str
    image: str
    image_rephrase: str
    loc: str
    loc_ans: str
    m_loc: str
    m_loc_q: str
    m_loc_a: str

    def texts(self) -> dict[str, Any]:
        """The eleven by name."""
        return {key: getattr(self, key) for key in KEYS}


def _read(source: Mapping[str, Any]) -> ReleasedRow:
    return ReleasedRow(**MMEditKeys.model_validate(source).texts(), source=source)


MMEDIT = Format("MMEdit's vqa_eval.json", frozenset(), _read)
