from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from evaluation.results.lines import Lines
from mmedit_build.errors import UserError


@pytest.fixture
def lines(tmp_path: Path) -> Lines[int]:
    return Lines(tmp_path / "numbers.jsonl", TypeAdapter(int), "number")


def test_lines_come_back_in_order(lines: Lines[int]) -> None:
    assert lines.read() == lines.begin() == []
    assert not lines.path.exists()
    for number in (3, 1, 2):
        lines.add(number)
    assert lines.read() == [3, 1, 2]


def test_a_torn_last_line_is_dropped_once_work_begins(lines: Lines[int]) -> None:
    lines.add(3)
    with lines.path.open("ab") as file:
        file.write(b"12")
    assert lines.read() == [3]
    assert lines.path.read_bytes() == b"3\n12"
    assert lines.begin() == [3]
    assert lines.path.read_bytes() == b"3\n"


def test_a_broken_line_is_told_by_its_number(lines: Lines[int]) -> None:
    lines.path.write_text("3\nthree\n4\n")
    with pytest.raises(UserError, match=r"Line 2 of .*numbers\.jsonl is no number"):
        lines.read()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_line_is_an_error_and_mended_by_the_next_command(lines: Lines[int]) -> None:
    lines.add(1)
    with room_for(5), pytest.raises(UserError, match="make room"):
        lines.add(123_456)
    assert lines.path.read_bytes() == b"1\n123"
    assert lines.begin() == [1]
    lines.add(123_456)
    assert lines.read() == [1, 123_456]


def test_a_broken_line_is_told_with_its_fault(lines: Lines[int]) -> None:
    lines.path.write_text("3\n1.5\n")
    with pytest.raises(
        UserError, match=r"Line 2 of .* is no number .*\(Input should be a valid integer.*\); "
    ):
        lines.read()


def test_what_is_no_file_is_told(lines: Lines[int]) -> None:
    lines.path.mkdir()
    for work in (lines.read, lines.begin):
        with pytest.raises(UserError, match=r"numbers\.jsonl is not a file of numbers; move it away"):
            work()


def test_no_room_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make room"):
        Lines(tmp_path / "nowhere" / "numbers.jsonl", TypeAdapter(int), "number").add(1)
