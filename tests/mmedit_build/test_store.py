from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from mmedit_build.errors import UserError
from mmedit_build.store import IDLE, check_writable, growing, locked, sweep, write_atomic, write_through


def test_writes_and_replaces_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, b"first")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_written_through_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def fails(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left"):
        write_through(path, fails)
    assert list(tmp_path.iterdir()) == []
    write_through(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"


def test_what_grows_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"

    def fails() -> None:
        with growing(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left"):
        fails()
    assert list(path.parent.iterdir()) == []
    for data in (b"whole", b"other", b"longer than that"):
        with growing(path) as file:
            file.write(data)
            assert not path.exists() or path.read_bytes() != data
        assert [path.read_bytes()] == [one.read_bytes() for one in path.parent.iterdir()]
    os.utime(path, ns=(1, 1))
    with growing(path) as file:
        file.write(data)
    assert path.stat().st_mtime_ns == 1


def test_what_killed_commands_left_is_swept_and_nothing_of_others(tmp_path: Path) -> None:
    left, deeper, fresh = (tmp_path / name / f".{'0' * 32}.partial" for name in ("", "deeper", "fresh"))
    other = tmp_path / ".download.partial"
    for path in (left, deeper, fresh, other):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for path in (left, deeper, other):
        os.utime(path, (0, 0))
    sweep(tmp_path, idle=IDLE, deep=False)
    assert [path.exists() for path in (left, deeper, fresh, other)] == [False, True, True, True]
    sweep(tmp_path, idle=IDLE)
    assert [path.exists() for path in (deeper, fresh, other)] == [False, True, True]
    sweep(tmp_path)
    assert [path.exists() for path in (fresh, other)] == [False, True]


def test_a_folder_that_another_command_removes_is_left_out_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, left = (tmp_path / name / f".{'0' * 32}.partial" for name in ("gone", "there"))
    for path in (gone, left):
        write_atomic(path, b"")
    scandir = os.scandir

    def late(folder: str | Path) -> object:
        """Something is removed between its folder being read and itself."""
        if Path(folder) == gone.parent:
            gone.unlink()
            gone.parent.rmdir()
        return scandir(folder)

    monkeypatch.setattr("os.scandir", late)
    sweep(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_file_is_for_the_umask_to_say(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "file", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(_self: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=r"Cannot write .*new \((Not a directory|File exists)\); choose a folder"
    ):
        write_atomic(tmp_path / "file" / "new", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        write_atomic(tmp_path / "folder", b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_atomic(tmp_path / "file", b"data")
    assert not any(tmp_path.iterdir())


def test_a_folder_is_checked_without_being_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "not" / "yet")
    monkeypatch.chdir(tmp_path)
    check_writable(Path("not/yet"))
    (tmp_path / "file").touch()
    for inside in ("file", "file/deeper"):
        with pytest.raises(UserError, match=r"file: not a folder"):
            check_writable(tmp_path / inside)
    # Asked of the system rather than tried, as the tests may run as a user who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="no permission to write"):
        check_writable(tmp_path / "not")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "\ud800"])
def test_names_that_no_file_can_have_are_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be a name or a path"):
        check_writable(tmp_path / name)
    with pytest.raises(UserError, match="cannot be a name or a path"):
        locked(tmp_path / name, "busy").__enter__()
    with pytest.raises(UserError, match=r"Cannot write .*(too long|no name that a file can have)"):
        write_atomic(tmp_path / name, b"")
