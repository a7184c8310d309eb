from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from editors import EDITORS, editor_class
from editors.families import METHOD_FAMILIES
from editors.listed import FILE, describe, listed


def test_the_file_is_what_the_editors_say() -> None:
    said = json.loads(json.dumps({name: asdict(describe(editor_class(name))) for name in EDITORS}))
    assert json.loads(FILE.read_text("utf-8")) == said, "write it anew: python -m editors.listed"


def test_an_editor_that_is_not_in_the_file_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EDITORS, "mine", EDITORS["ft"])
    assert listed()["mine"] == listed()["ft"]


@pytest.mark.parametrize("name", EDITORS)
def test_each_tells_what_a_line_and_its_options_need(name: str) -> None:
    one = listed()[name]
    assert one.family in METHOD_FAMILIES
    assert one.about.endswith(".")
    assert 0 < len(one.touches) <= 26  # one line of a terminal
    assert [option.name for option in one.options if not option.meaning] == []
