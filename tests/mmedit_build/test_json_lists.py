"""Lists of JSON are read element by element, and refused as if they were read whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build import json_lists
from mmedit_build.errors import UserError
from mmedit_build.json_lists import read_list


def _read(folder: Path, text: str) -> list[Any]:
    path = folder / "list.json"
    path.write_text(text, encoding="utf-8")
    return list(read_list(path, "mend it", "give a list"))


ELEMENTS = [{"a": 'x"]},[', "b": ["é", {"c": None}]}, {}, [], 12.5, -3, "\u2028", True, {"a": "y" * 50}]


@pytest.mark.parametrize("part", [1, 2, 7, 1000])
@pytest.mark.parametrize("indent", [None, 4])
def test_elements_come_back_wherever_parts_end(
    tmp_path: Path, part: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "PART", part)
    contents: list[list[Any]] = [ELEMENTS, [], [{}]]
    for content in contents:
        text = json.dumps(content, indent=indent, ensure_ascii=False)
        assert _read(tmp_path, f" {text}\n") == content


def test_the_first_elements_come_before_the_last_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(f"[1, {' ' * json_lists.PART} oops]")
    elements = read_list(path, "mend it", "give a list")
    assert next(elements) == 1
    with pytest.raises(UserError, match=r"list\.json is not whole JSON \(row 2: .*\); mend it\."):
        next(elements)


@pytest.mark.parametrize(
    "text",
    ["", "[1", "[1,", "[1,]", "[1 2]", "[1]]", "[1] 2", '["a]', "[1}", '["\\ud800"]', "[" * 9000, "[NaN"],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="is not whole JSON"):
        _read(tmp_path, text)


@pytest.mark.parametrize("text", ['{"a": [1]}', "7", '"text"'])
def test_what_is_no_list_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="is not a list of rows; give a list"):
        _read(tmp_path, text)


def test_an_element_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lists, "PART", 100)
    monkeypatch.setattr(json_lists, "MOST_LETTERS", 1000)
    with pytest.raises(UserError, match="more than 1,000 letters without an end"):
        _read(tmp_path, f'["{"a" * 5000}"]')
