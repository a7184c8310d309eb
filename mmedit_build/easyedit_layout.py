"""The JSON layout of MMEdit, which EasyEdit and its relatives read: flat rows of eleven texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.json_files import read_json
from mmedit_build.rows import Split, Task

FILES: dict[tuple[Task, Split], str] = {
    ("vqa", "train"): "vqa_train.json",
    ("vqa", "test"): "vqa_eval.json",
    ("caption", "train"): "caption_train_edit.json",
    ("caption", "test"): "caption_eval_edit.json",
}
"""The files of a dataset, by what is in them."""


@dataclass(frozen=True, slots=True)
class EasyEditRow:
    """One edit: the names and the order of the keys are those of the layout."""

    src: str
    """The question, or what is put before a caption to ask for it."""
    pred: str
    """What the base model said."""
    rephrase: str
    """The question in other words."""
    alt: str
    """The target, without the space that EasyEdit puts before it."""
    image: str
    image_rephrase: str
    """The image in another rendering."""
    loc: str
    """A question about a fact, after its prefix."""
    loc_ans: str
    m_loc: str
    """The image of another question."""
    m_loc_q: str
    m_loc_a: str


KEYS = tuple(field.name for field in fields(EasyEditRow))


def read_rows(path: Path) -> list[EasyEditRow]:
    """The rows of one file; whatever is not in the layout is refused by name."""
    content = read_json(path, "check its path, and copy or download it again")
    if not isinstance(content, list):
        raise UserError(f"{path} is not a list of rows; give a file in the layout of MMEdit's vqa_eval.json.")
    return [_checked(row, place(path, number)) for number, row in enumerate(content, start=1)]


def dump(rows: Sequence[EasyEditRow]) -> bytes:
    """The file of these rows, byte for byte as the released files are written."""
    return json.dumps([asdict(row) for row in rows], indent=4).encode("ascii")


def place(path: Path, number: int) -> str:
    """How messages name a row."""
    return f"Row {number} of {path}"


def _checked(row: object, where: str) -> EasyEditRow:
    if not isinstance(row, dict):
        raise UserError(f"{where} is not an object; give a file in MMEdit's layout.")
    missing, unknown = [key for key in KEYS if key not in row], sorted(row.keys() - set(KEYS))
    faults = [f"lacks {', '.join(missing)}"] if missing else []
    faults += [f"also has {', '.join(unknown)}"] if unknown else []
    if faults:
        raise UserError(f"{where} {' and '.join(faults)}; the keys are {', '.join(KEYS)}.")
    for key in KEYS:
        if not isinstance(row[key], str):
            raise UserError(f"{where} has a {key} of type {type(row[key]).__name__}; all values are texts.")
    return EasyEditRow(**row)
