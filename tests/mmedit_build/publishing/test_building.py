from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmedit_build import publishing
from mmedit_build.anew import Anew
from mmedit_build.errors import UserError
from mmedit_build.publishing import preview


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_edits_give_the_same_bytes(world: Any, tmp_path: Path) -> None:
    first = contents(world.build())
    shutil.rmtree(world.work.dataset)
    assert contents(world.build()) == first
    moved = type(world)(tmp_path / "elsewhere")
    assert contents(moved.build()) == first


def test_edits_that_are_read_anew_give_the_same_bytes(world: Any) -> None:
    first = contents(world.build())
    shutil.rmtree(world.work.dataset)
    assert contents(world.build(Anew(lambda: iter(world.edits)))) == first


def test_a_rerun_leaves_the_dataset_as_it_is(world: Any) -> None:
    folder = world.build()
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}
    world.build()
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")} == before


def test_other_content_replaces_the_dataset_whole(world: Any) -> None:
    world.build()
    folder = world.build([edit for edit in world.edits if edit.task == "vqa"])
    assert not (folder / "data/caption").exists()
    assert sorted(path.name for path in world.work.folder.iterdir()) == ["dataset", "images", "sources"]


def test_a_failed_build_leaves_the_last_one(world: Any) -> None:
    before = contents(world.build())
    world.work.path(world.edits[0].image).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"the image of vqa/val2014/0 is no image"):
        world.build()
    assert contents(world.work.dataset) == before
    assert not world.work.dataset.with_name(".dataset.new").exists()


def test_what_a_killed_build_left_is_cleared(world: Any) -> None:
    folder = world.build()
    before = contents(folder)
    fresh, old = (folder.with_name(f".dataset.{kind}") for kind in ("new", "old"))
    (fresh / "data").mkdir(parents=True)
    (fresh / "data/half.parquet").write_bytes(b"half")
    folder.rename(old)
    assert contents(world.build()) == before
    assert not fresh.exists()
    assert not old.exists()


def test_a_build_killed_between_renames_loses_nothing(world: Any) -> None:
    folder = world.build()
    before = contents(folder)
    folder.rename(folder.with_name(".dataset.old"))
    world.work.path(world.edits[0].image).unlink()
    with pytest.raises(UserError):
        world.build()
    assert contents(folder) == before


def test_a_full_disk_is_one_sentence(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(publishing, "write_tables", fail)
    with pytest.raises(
        UserError, match=r"Cannot write the dataset to .* \(No space left on device\); choose"
    ):
        world.build()


def test_a_preview_shows_what_would_be_sent(world: Any) -> None:
    folder = world.build()
    shown = preview(folder)
    assert {file.name for file in shown.files} == set(contents(folder))
    assert shown.size == sum(len(data) for data in contents(folder).values())
    assert shown.card == (folder / "README.md").read_text(encoding="utf-8")


def test_checksums_are_those_of_sha256sum(world: Any) -> None:
    folder = world.build()
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert [line.partition("  ")[2] for line in lines] == sorted(contents(folder).keys() - {"SHA256SUMS"})
