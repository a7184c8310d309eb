"""The columns of the published tables."""

from __future__ import annotations

import pyarrow as pa

EDITS = ("vqa", "caption")
POOLS = ("text_locality", "image_locality", "gain")
CONFIGS = (*EDITS, *POOLS)
"""Configurations: two of edits, two of the questions whose answers they shall not change, and one of those
that the base model answers wrong."""
LATER = frozenset({"gain", "relation", "text_cosine", "image_cosine", "said_wrong", "left_out"})
"""Columns, and parts of columns, that datasets of earlier versions do not have."""
SOURCE_IMAGE = "image"
"""The column of an image as its source has it, which the licenses of sources may keep out."""
HOPS = ("portability", "portability_model", "portability_prompt")
"""The columns of what follows from an edit, of datasets whose recipe has the stage extend."""
REVIEW = "review"
"""The column of what people said about an edit, of datasets that were reviewed."""
OPTIONAL = (SOURCE_IMAGE, *HOPS, REVIEW)

_TEXT = pa.string()
_NUMBER = pa.float64()
_COUNT = pa.int64()
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An encoded image and the name of its file, as `datasets` keeps images."""


def _list(**columns: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(columns.items())))


_IMAGE_ITEMS = _list(
    id=_TEXT,
    relation=_TEXT,
    image_id=_TEXT,
    question=_TEXT,
    answer=_TEXT,
    text_cosine=_NUMBER,
    image_cosine=_NUMBER,
)
_EDIT = {
    "id": _TEXT,
    "image_id": _TEXT,
    "image_name": _TEXT,
    "image": IMAGE,
    "question": _TEXT,
    "question_type": _TEXT,
    "target": _TEXT,
    "prediction": _TEXT,
    "first_prediction": _TEXT,
    "confidence": _NUMBER,
    "answers": pa.list_(_TEXT),
    "rephrase": _TEXT,
    "image_rephrase": IMAGE,
    "text_locality": _list(id=_TEXT, relation=_TEXT, question=_TEXT, answer=_TEXT, text_cosine=_NUMBER),
    "image_locality": _IMAGE_ITEMS,
    "gain": _IMAGE_ITEMS,
    "portability": _list(relation=_TEXT, question=_TEXT, answers=pa.list_(_TEXT), premise=_TEXT),
    "scores": _list(name=_TEXT, value=_NUMBER),
    REVIEW: _list(question=_TEXT, id=_TEXT, yes=_COUNT, no=_COUNT, unsure=_COUNT, refused=pa.bool_()),
    "base": _TEXT,
    "rephrase_model": _TEXT,
    "rephrase_prompt": _TEXT,
    "portability_model": _TEXT,
    "portability_prompt": _TEXT,
    "imagine_model": _TEXT,
    "imagine_prompt": _TEXT,
    "imagine_strategy": _TEXT,
    # Decimal digits: seeds may be larger than what a signed integer column holds.
    "imagine_seed": _TEXT,
    "image_rephrase_digest": _TEXT,
}
_TEXT_POOL = {
    "id": _TEXT,
    "relation": _TEXT,
    "question": _TEXT,
    "answers": pa.list_(_TEXT),
    "answer": _TEXT,
    "prediction": _TEXT,
}
_IMAGE_POOL = {
    "id": _TEXT,
    "relation": _TEXT,
    "image_id": _TEXT,
    "image_name": _TEXT,
    "image": IMAGE,
    "question": _TEXT,
    "answers": pa.list_(_TEXT),
    "answer": _TEXT,
    "prediction": _TEXT,
}
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "vqa": _EDIT,
    "caption": {**_EDIT, "said_wrong": pa.list_(_TEXT), "left_out": pa.list_(_TEXT)},
    "text_locality": _TEXT_POOL,
    "image_locality": _IMAGE_POOL,
    "gain": _IMAGE_POOL,
}
"""By configuration, the types of its columns."""
