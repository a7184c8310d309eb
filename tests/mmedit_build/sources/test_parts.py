"""A file that is read in parts says what it says as a whole."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.sources import coco, layout, vqav2
from mmedit_build.sources.layout import Layout
from mmedit_build.sources.parts import read_parts

ROWS = [{"a": number, "b": [{"c": '}, {"a"'}, {"c": "é\\"}]} for number in range(40)]
OBJECT = {"info": {"of": [{"a": 0}]}, "rows": ROWS, "none": [], "others": [{"x": [1]}] * 40, "last": [[1]]}


def joined(text: str, size: int) -> tuple[dict[str, Any], int]:
    """The object of all parts, and how many there were."""
    found: dict[str, Any] = {}
    parts = list(read_parts(io.BytesIO(text.encode()), size))
    for part in parts:
        for name, value in part.items():
            found[name] = found[name] + value if name in found else value
    return found, len(parts)


@pytest.mark.parametrize("size", [150, 151, 200, 333, 1000, 1_000_000])
@pytest.mark.parametrize("indent", [None, 1])
def test_parts_make_up_the_object(size: int, indent: int | None) -> None:
    text = json.dumps(OBJECT, indent=indent)
    found, parts = joined(text, size)
    assert found == OBJECT
    assert parts > len(text) / size / 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: text.replace('}, {"a": 20', '} {"a": 20'),
        lambda text: text.replace('}, {"a": 20', '},, {"a": 20'),
        lambda text: text.replace('"rows": [{', '"rows": [, {'),
        lambda text: f"[{text}]",
        lambda text: text + "x",
    ],
)
def test_what_is_no_such_object_is_refused(damage: Any) -> None:
    with pytest.raises(ValueError, match=r"line|row"):
        joined(damage(json.dumps(OBJECT)), 300)


def asked(number: int) -> dict[str, Any]:
    rows = [{"image_id": i, "question": "Is it?", "question_id": i, "more": None} for i in range(number)]
    return {"info": {}, "data_subtype": "val2014", "questions": rows, "license": {}}


def answered(number: int) -> dict[str, Any]:
    rows = [
        {
            "question_type": "is",
            "answers": [{"answer": f"cat {k}", "answer_id": k} for k in range(10)],
            "question_id": i,
        }
        for i in range(number)
    ]
    return {"annotations": rows, "data_type": "mscoco"}


def told(number: int) -> dict[str, Any]:
    images = [{"license": 3, "file_name": f"{i}.jpg", "id": i} for i in range(number)]
    said = [{"image_id": i % number, "id": i, "caption": "A cat."} for i in range(3 * number)]
    return {"images": images, "licenses": [{"url": "x"}] * 8, "annotations": said}


CONTENTS = [(vqav2.QUESTIONS, asked), (vqav2.ANNOTATIONS, answered), (coco.OFFICIAL, told)]


@pytest.mark.parametrize(("kind", "made"), CONTENTS, ids=["questions", "annotations", "captions"])
def test_large_files_of_each_layout_are_read_in_parts(
    kind: Layout[Any], made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.json"
    file.write_text(json.dumps(made(90)))
    whole = kind.load(file)
    monkeypatch.setattr(layout, "PART", 1500)
    monkeypatch.setattr(layout, "read_bytes", None)
    assert kind.load(file) == whole


def test_what_is_wrong_with_a_large_file_is_told_with_its_place_in_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "PART", 500)
    content = answered(90)
    content["annotations"][70]["answers"][4] = 3
    file = tmp_path / "large.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"annotations\.70\.answers\.4: Input should be a valid string"):
        vqav2.ANNOTATIONS.load(file)
    file.write_text('{"data_type": "mscoco"' + " " * 600 + "}")
    with pytest.raises(UserError, match="annotations: Field required"):
        vqav2.ANNOTATIONS.load(file)
