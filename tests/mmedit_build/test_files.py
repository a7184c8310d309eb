"""Only regular files of a bounded size are read, and no name is a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmedit_build.files import exists, is_file, is_folder, read_bytes

IMPOSSIBLE = ("a" * 300, "a\0b", "\ud800")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "a", 4)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_bytes(path, 10)
    with pytest.raises(OSError, match="Is a directory"):
        read_bytes(tmp_path, 10)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    regular = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda _self: regular)
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(tmp_path / "pipe", 10)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_names_that_no_file_can_have_are_not_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert (is_file(path), is_folder(path), exists(path)) == (False, False, False)
    with pytest.raises(OSError, match=r"too long|no name that a file can have") as caught:
        read_bytes(path, 10)
    assert caught.value.strerror
