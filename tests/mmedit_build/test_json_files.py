"""JSON of others is read strictly, and whatever is wrong with it is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.json_files import read_json


def test_json_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null, "\\ud83d\\ude00\\u0000"]}')
    assert read_json(tmp_path / "a.json", "x") == {"a": [1, 2.5, None, "😀\0"]}


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": ', b"[" * 100_000, b'"\xff"', b'"\\ud800"', b"9" * 5000, b"{} {}"],
    ids=["empty", "cut", "deep", "no text", "half a pair", "huge number", "two"],
)
def test_what_is_no_json_is_told_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not whole JSON \(.*\); try another\.") as caught:
        read_json(tmp_path / "a.json", "try another")
    assert len(str(caught.value)) < 300


def test_what_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read .*gone \(No such file or directory\); try another\."):
        read_json(tmp_path / "gone", "try another")
