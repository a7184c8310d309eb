"""The columns of the published tables."""

from __future__ import annotations

from datasets import Features, Image, List, Value

EDITS = ("vqa", "caption")
POOLS = ("text_locality", "image_locality")
CONFIGS = (*EDITS, *POOLS)
"""Configurations: two of edits, and two of the questions whose answers they shall not change."""
SOURCE_IMAGE = "image"
"""The column of an image as its source has it, which the licenses of sources may keep out."""

_TEXT = Value("string")
_INTEGER = Value("int64")
_NUMBER = Value("float64")

_EDIT = {
    "id": _TEXT,
    "image_id": _INTEGER,
    "image_name": _TEXT,
    "image": Image(),
    "question": _TEXT,
    "question_type": _TEXT,
    "target": _TEXT,
    "prediction": _TEXT,
    "first_prediction": _TEXT,
    "confidence": _NUMBER,
    "answers": List(_TEXT),
    "rephrase": _TEXT,
    "image_rephrase": Image(),
    "text_locality": List({"id": _TEXT, "question": _TEXT, "answer": _TEXT}),
    "image_locality": List(
        {"id": _TEXT, "relation": _TEXT, "image_id": _INTEGER, "question": _TEXT, "answer": _TEXT}
    ),
    "scores": List({"name": _TEXT, "value": _NUMBER}),
    "base": _TEXT,
    "rephrase_model": _TEXT,
    "rephrase_prompt": _TEXT,
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
    "answers": List(_TEXT),
    "answer": _TEXT,
    "prediction": _TEXT,
}
_IMAGE_POOL = {
    "id": _TEXT,
    "relation": _TEXT,
    "image_id": _INTEGER,
    "image_name": _TEXT,
    "image": Image(),
    "question": _TEXT,
    "answers": List(_TEXT),
    "answer": _TEXT,
    "prediction": _TEXT,
}
_COLUMNS = {"vqa": _EDIT, "caption": _EDIT, "text_locality": _TEXT_POOL, "image_locality": _IMAGE_POOL}


def features(config: str, *, embedded: bool) -> Features:
    """The columns of a configuration; without embedded source images, those are only named."""
    columns = _COLUMNS[config]
    return Features({name: kind for name, kind in columns.items() if embedded or name != SOURCE_IMAGE})


def image_columns(config: str, *, embedded: bool) -> tuple[str, ...]:
    """The columns of a configuration that hold images."""
    return tuple(
        name for name, kind in features(config, embedded=embedded).items() if isinstance(kind, Image)
    )
