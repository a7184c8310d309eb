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


EXAMPLE = {
    "src": "What color is the car?",
    "pred": "blue",
    "rephrase": "Which color does the car have?",
    "alt": "red",
    "image": "val2014/COCO_val2014_000000000042.jpg",
    "image_rephrase": "val2014_image_rephrase/COCO_val2014_000000000042.png",
    "loc": "nq question: who wrote hamlet",
    "loc_ans": "William Shakespeare",
    "m_loc": "val2014/COCO_val2014_000000000007.jpg",
    "m_loc_q": "What is this tool for?",
    "m_loc_a": "digging",
}
MMEDIT = Format("MMEdit's vqa_eval.json", frozenset(), _read, EXAMPLE)
