"""Commands whose folders lie in storage, as users give them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest

from mmedit_build.api import build
from mmedit_build.build import Build
from mmedit_build.cli import build as run_stage
from mmedit_build.errors import UserError
from mmedit_build.files import is_folder, read_bytes
from mmedit_build.places import place as place_of
from mmedit_build.storage import session as module
from mmedit_build.storage.addresses import address_of
from mmedit_build.storage.copies import lent
from mmedit_build.storage.session import session
from mmedit_build.store import locked, write_atomic
from mmedit_build.work import Work


def there(address: str) -> dict[str, bytes]:
    scheme, _, name = address.partition("://")
    system = fsspec.filesystem(scheme, use_listings_cache=False)
    found = system.cat(system.find(name)) if system.exists(name) else {}
    return {key.strip("/").removeprefix(f"{name}/"): data for key, data in found.items()}


def test_what_is_written_in_a_session_is_in_storage_after_it(place: str, home: Path) -> None:
    with session():
        folder = place_of(f"{place}/run")
        assert folder.is_relative_to(home)
        write_atomic(folder / "mine/rows.jsonl", b"row")
    assert there(f"{place}/run") == {"mine/rows.jsonl": b"row"}


def test_what_a_stopped_command_wrote_is_sent_too(place: str) -> None:
    def interrupted() -> None:
        with session():
            write_atomic(place_of(f"{place}/run") / "rows.jsonl", b"row")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert there(f"{place}/run") == {"rows.jsonl": b"row"}


def test_what_changes_is_sent_meanwhile(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.05)
    with session():
        write_atomic(place_of(f"{place}/run") / "rows.jsonl", b"row")
        deadline = time.monotonic() + 10
        while not there(f"{place}/run") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert there(f"{place}/run") == {"rows.jsonl": b"row"}


def test_a_folder_is_held_while_someone_works_in_it(place: str) -> None:
    with session(), locked(place_of(f"{place}/run"), "Busy."):
        assert set(there(f"{place}/run")) == {".mmedit-lock"}
    assert there(f"{place}/run") == {}


def test_who_was_taken_over_sends_nothing_more(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmedit_build.storage.lease.BEAT", 0.02)

    def worked() -> None:
        with session():
            folder = place_of(f"{place}/run")
            with locked(folder, "Busy."):
                scheme, _, name = f"{place}/run/.mmedit-lock".partition("://")
                # Until it is seen: a beat under way may write over it once.
                while any("_beat" in thread.name for thread in threading.enumerate()):
                    fsspec.filesystem(scheme).pipe_file(name, b'{"owner": "another"}')
                    time.sleep(0.1)
                write_atomic(folder / "rows.jsonl", b"row")

    with pytest.raises(UserError, match="Another command took over"):
        worked()
    assert set(there(f"{place}/run")) == {".mmedit-lock"}


def test_images_of_a_source_come_when_they_are_read(place: str) -> None:
    scheme, _, name = place.partition("://")
    system = fsspec.filesystem(scheme, use_listings_cache=False)
    for image in ("val2014/a.jpg", "val2014/b.jpg"):
        system.pipe_file(f"{name}/coco/{image}", image.encode())
    with session():
        images = lent(f"{place}/coco")
        assert is_folder(images / "val2014")
        assert not is_folder(images / "train2014")
        assert read_bytes(images / "val2014/a.jpg", 100) == b"val2014/a.jpg"
        assert [path.name for path in images.rglob("*.jpg")] == ["a.jpg"]
        with pytest.raises(FileNotFoundError):
            read_bytes(images / "val2014/c.jpg", 100)
        with pytest.raises(UserError, match=r"There is nothing at .*/cocoa: check the address"):
            lent(f"{place}/cocoa")
    assert set(there(f"{place}/coco")) == {"val2014/a.jpg", "val2014/b.jpg"}


def test_rows_name_images_of_sources_by_address(place: str, home: Path) -> None:
    image = home / place.replace("://", "/") / "coco/a.jpg"
    work = Work(home.parent / "work")
    assert work.name(image) == f"{place}/coco/a.jpg" == address_of(image)
    assert work.path(work.name(image)) == image


RECIPE = """\
extends: miniature
name: stored
draw: {seed: stored, train_images: 24, val_images: 12}
mine: {shard_rows: 8}
"""


@pytest.mark.timeout(300)
def test_a_build_in_storage_goes_on_on_another_machine(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed in the middle."""
    recipe = tmp_path / "stored.yaml"
    recipe.write_text(RECIPE)
    command = [sys.executable, "-c", "from mmedit_build.cli import main; main()", "mine", str(recipe)]
    command += ["--work", f"{bucket}/run"]
    monkeypatch.setenv("MMEDIT_STORAGE", str(tmp_path / "first"))
    shards = f"{bucket}/run/mine/shards"
    patched = f"import mmedit_build.storage.session as s; s.PAUSE = 0.1; {command[2]}"
    first = subprocess.Popen([*command[:2], patched, *command[3:]], stderr=subprocess.DEVNULL)
    while not (begun := there(shards)) and first.poll() is None:
        time.sleep(0.05)
    first.kill()
    first.wait()
    assert begun
    monkeypatch.setenv("MMEDIT_STORAGE", str(tmp_path / "second"))
    with session():
        run_stage("mine", str(recipe), place_of(f"{bucket}/run"))
    stored = there(f"{bucket}/run")
    assert begun.items() <= there(shards).items()
    assert json.loads(stored["mine/summary.json"])["finished"]
    assert ".mmedit-lock" not in stored
    here = tmp_path / "second" / bucket.replace("://", "/") / "run"
    assert {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()} == set(stored)
    # As if all had been done in a folder.
    local = tmp_path / "local"
    run_stage("mine", str(recipe), local)
    assert (local / "mine/rows.jsonl").read_bytes() == stored["mine/rows.jsonl"]


def test_python_takes_addresses_too(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(build: Build, *_: object) -> None:
        raise UserError(f"Nothing was built in {build.work.folder.name}.")

    monkeypatch.setattr("mmedit_build.api.check_ready", stopped)
    with pytest.raises(UserError, match=r"^Nothing was built in run\.$"):
        build("miniature", f"{place}/run")


def test_two_commands_of_one_machine_do_not_take_each_other_s_files_for_another_s(place: str) -> None:
    """One sends what grows while the other looks for news all the time."""
    from mmedit_build.storage.syncing import ASIDE, Pair

    with session():
        folder = place_of(f"{place}/run")
    folder.mkdir(parents=True)
    ended = threading.Event()

    def looking() -> None:
        while not ended.is_set():
            Pair(folder).bring()

    thread = threading.Thread(target=looking)
    thread.start()
    for number in range(30):
        with (folder / "results.jsonl").open("a") as file:
            file.write(f"{number}\n")
        Pair(folder).send()
    ended.set()
    thread.join()
    assert not (folder / ASIDE).exists()
    assert (folder / "results.jsonl").read_text().split() == [str(number) for number in range(30)]
