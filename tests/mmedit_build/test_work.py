"""The work folder: how generated images are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.work import Work, put_image


def test_an_image_is_kept_once_under_its_digest(tmp_path: Path) -> None:
    work = Work(tmp_path)
    digest = hashlib.sha256(b"pixels").hexdigest()
    name = put_image(work, b"pixels", ".png")
    assert name == f"images/{digest[:2]}/{digest}.png"
    assert work.path(name).read_bytes() == b"pixels"
    before = work.path(name).stat()
    assert put_image(work, b"pixels", ".png") == name
    after = work.path(name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert put_image(work, b"other pixels", ".png") != name


def test_an_image_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="Cannot write"):
        put_image(Work(tmp_path), b"pixels", ".png")


def test_relative_names_lead_into_the_work_folder_only(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    (tmp_path / "disk").mkdir()
    work.folder.mkdir()
    work.sources.symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "a.jpg").write_bytes(b"pixels")
    assert work.path("sources/a.jpg").read_bytes() == b"pixels"
    (tmp_path / "disk" / "out.jpg").symlink_to("/etc/passwd")
    for name in ("../a.jpg", "images/../../a.jpg", "sources/out.jpg"):
        with pytest.raises(UserError, match="leads out of the folder"):
            work.path(name)


def test_every_name_of_an_image_is_found_again(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    beside = work.sources / ".." / ".." / "photos" / "a.jpg"
    for image in (work.images / "a.png", tmp_path / "photos" / "a.jpg", beside):
        assert work.path(work.name(image)) == image


def test_a_damaged_image_is_written_again(tmp_path: Path) -> None:
    work = Work(tmp_path)
    name = put_image(work, b"pixels", ".png")
    work.path(name).write_bytes(b"")
    assert put_image(work, b"pixels", ".png") == name
    assert work.path(name).read_bytes() == b"pixels"
