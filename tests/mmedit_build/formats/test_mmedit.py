"""Files in MMEdit's layout are read strictly and written byte for byte as they were released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.formats.files import read_rows
from mmedit_build.formats.mmedit import FILES
from mmedit_build.formats.rows import KEYS, ReleasedRow
from tests.mmedit_build.formats.rows import dumped

ROW: dict[str, Any] = {key: f"text of {key}" for key in KEYS}


def _file(folder: Path, content: object) -> Path:
    path = folder / "vqa_eval.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_keys_are_those_of_the_layout_in_its_order() -> None:
    layout = "src pred rephrase alt image image_rephrase loc loc_ans m_loc m_loc_q m_loc_a"
    assert " ".join(KEYS) == layout


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [ReleasedRow(**{**ROW, "alt": text}) for text in ('Juárez "x"', "  two  spaces ", "", "a\u2028b")]
    path = tmp_path / "vqa_eval.json"
    path.write_bytes(dumped(rows))
    assert list(read_rows(path)) == rows


def test_bytes_are_four_spaces_ascii_and_no_last_line_break() -> None:
    text = dumped([ReleasedRow(**{**ROW, "src": "é"})]).decode("ascii")
    assert text.startswith('[\n    {\n        "src": "\\u00e9",\n        "pred"')
    assert text.endswith('"m_loc_a": "text of m_loc_a"\n    }\n]')


def test_the_released_files_are_reproduced_byte_for_byte(released: Path) -> None:
    for name in FILES.values():
        assert dumped(read_rows(released / name)) == (released / name).read_bytes()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[{"src": "a", ', "is not whole JSON"),
        ("[" * 200_000, "is not whole JSON"),
        ("", "is not whole JSON"),
        ('["\\ud800"]', "is not whole JSON"),
        ({"src": "a"}, "is not a list of rows"),
        ([ROW, "text"], "Row 2 of .*vqa_eval.json is not an object"),
        ([ROW, ROW, {"src": "a"}], "Row 3 of .* lacks pred, rephrase"),
        (
            [{**ROW, "alt": 2}],
            r"Row 1 of .* has 2 as alt; make it a text, as in the format of MMEdit's .*: \[{\"src\": ",
        ),
        ([{**ROW, "m_loc_a": None}], "has None as m_loc_a"),
    ],
)
def test_what_is_not_in_the_layout_is_told_in_one_sentence(
    tmp_path: Path, content: object, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        list(read_rows(_file(tmp_path, content)))


def test_keys_that_nobody_knows_are_kept_and_written_back(tmp_path: Path) -> None:
    content = [{"id": 7, **ROW, "tags": ["a", None]}, dict(reversed(list(ROW.items())))]
    again = json.loads(dumped(read_rows(_file(tmp_path, content))))
    assert again == content
    assert [list(row) for row in again] == [list(row) for row in content]


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "vqa_eval.json").write_bytes(b'["\xff\xfe"]')
    with pytest.raises(UserError, match="not whole JSON"):
        list(read_rows(tmp_path / "vqa_eval.json"))
    with pytest.raises(UserError, match=r"Cannot read .*gone.json"):
        list(read_rows(tmp_path / "gone.json"))
