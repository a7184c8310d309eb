"""Copies and storage are made alike, and nothing is lost on either side."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fsspec
import pytest

from mmedit_build.errors import UserError
from mmedit_build.storage.addresses import ROOT_VARIABLE, local_path
from mmedit_build.storage.remote import Remote
from mmedit_build.storage.syncing import ASIDE, LOCK, Pair


class Machine:
    """One of several with copies of the same address."""

    def __init__(self, address: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._address, self._home, self._patch = address, home, monkeypatch

    def __call__(self) -> Pair:
        self._patch.setenv(ROOT_VARIABLE, str(self._home))
        return Pair(local_path(self._address))

    @property
    def folder(self) -> Path:
        return self().path

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def texts(self) -> dict[str, str]:
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_text() for path in paths}


@pytest.fixture
def one(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(f"{place}/run", tmp_path / "one", monkeypatch)


@pytest.fixture
def other(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(f"{place}/run", tmp_path / "other", monkeypatch)


def test_what_one_machine_sends_another_has(one: Machine, other: Machine) -> None:
    one.write("mine/rows.jsonl", "a")
    one.write("images/ab/x.png", "picture")
    one().send()
    other().bring()
    assert other.texts() == {"mine/rows.jsonl": "a", "images/ab/x.png": "picture"}


def test_changes_go_both_ways(one: Machine, other: Machine) -> None:
    one.write("a", "1")
    one().send()
    other().bring()
    other.write("a", "2")
    other.write("b", "new")
    other().send()
    one().bring()
    assert one.texts() == {"a": "2", "b": "new"}


def test_what_is_removed_is_removed_everywhere(one: Machine, other: Machine) -> None:
    one.write("a", "1")
    one.write("b", "2")
    one().send()
    other().bring()
    (other.folder / "a").unlink()
    other().send()
    one().bring()
    assert one.texts() == {"b": "2"}


def test_a_copy_that_was_deleted_comes_back(one: Machine) -> None:
    one.write("a", "1")
    one().send()
    (one.folder / "a").unlink()
    one().bring()
    assert one.texts() == {"a": "1"}


def test_nothing_travels_that_has_not_changed(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    one.write("a", "1")
    one().send()
    one().bring()

    def refused(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr(Remote, "fetch", refused)
    monkeypatch.setattr(Remote, "send", refused)
    one().bring()
    one().send()


def test_what_both_changed_is_storage_s_and_ours_is_set_aside(one: Machine, other: Machine) -> None:
    one.write("mine/a", "1")
    one().send()
    other().bring()
    one.write("mine/a", "one")
    other.write("mine/a", "other's")
    other().send()
    one().bring()
    texts = one.texts()
    assert texts.pop("mine/a") == "other's"
    assert list(texts.values()) == ["one"]
    assert all(name.startswith(f"{ASIDE}/mine/a.") for name in texts)
    # Which is for people to look at, and travels nowhere.
    one().send()
    other().bring()
    assert other.texts() == {"mine/a": "other's"}


def test_equal_files_that_were_made_on_both_sides_are_one(one: Machine, other: Machine) -> None:
    one.write("a", "same")
    other.write("a", "same")
    one().send()
    other().bring()
    assert other.texts() == {"a": "same"}


def test_what_was_changed_here_and_removed_there_stays(one: Machine, other: Machine) -> None:
    one.write("a", "1")
    one().send()
    other().bring()
    one.write("a", "more")
    (other.folder / "a").unlink()
    other().send()
    one().bring()
    assert one.texts() == {"a": "more"}


def test_files_of_this_machine_alone_stay_here(one: Machine, other: Machine) -> None:
    for name in (f".{'0' * 32}.partial", "r.sqlite-wal", LOCK, "rows.jsonl"):
        one.write(name, "x")
    one().send()
    other().bring()
    assert set(other.texts()) == {"rows.jsonl"}


def test_files_are_sent_in_the_order_in_which_they_were_written(
    one: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("z.jsonl", "images/b.png", "images/a.png", "a.json", "m.jsonl")):
        one.write(name, name)
        os.utime(one.folder / name, (1000 + number, 1000 + number))
    sent: list[str] = []
    send = Remote.send

    def noted(remote: Remote, path: Path, key: str) -> str:
        sent.append(path.name)
        return send(remote, path, key)

    monkeypatch.setattr(Remote, "send", noted)
    one().send()
    assert [sent[0], sorted(sent[1:3]), *sent[3:]] == ["z.jsonl", ["a.png", "b.png"], "a.json", "m.jsonl"]


def test_what_is_written_while_others_are_looked_at_waits(
    one: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As its rows may name what was not there yet when its folder was looked through.
    one.write("images/a.png", "1")
    looks = Pair._looks

    def slow(pair: Pair) -> object:
        found = list(looks(pair))
        time.sleep(0.02)
        one.write("rows.jsonl", "names images that came meanwhile")
        return [*found, *((path, look) for path, look in looks(pair) if path.name == "rows.jsonl")]

    monkeypatch.setattr(Pair, "_looks", slow)
    one().send()
    monkeypatch.undo()
    other().bring()
    assert set(other.texts()) == {"images/a.png"}


def test_an_interrupted_sending_has_sent_what_was_written_first(
    one: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        one.write(f"{number}.jsonl", "x")
        os.utime(one.folder / f"{number}.jsonl", (1000 + number, 1000 + number))
    send = Remote.send

    def failing(remote: Remote, path: Path, key: str) -> str:
        if path.name == "3.jsonl":
            raise UserError("The network is away.")
        return send(remote, path, key)

    monkeypatch.setattr(Remote, "send", failing)
    with pytest.raises(UserError, match="away"):
        one().send()
    other().bring()
    assert set(other.texts()) == {"0.jsonl", "1.jsonl", "2.jsonl"}
    monkeypatch.setattr(Remote, "send", send)
    one().send()
    other().bring()
    assert len(other.texts()) == 5


def open_replies(machine: Machine) -> sqlite3.Connection:
    path = machine.folder / "requests.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
    return file


def replies(machine: Machine) -> set[tuple[str, str]]:
    with closing(open_replies(machine)) as file:
        return set(file.execute("SELECT * FROM replies"))


def test_a_database_that_is_open_travels_with_all_that_was_committed(one: Machine, other: Machine) -> None:
    with closing(open_replies(one)) as file:
        file.execute("INSERT INTO replies VALUES ('a', '1')")
        one().send()
        file.execute("INSERT INTO replies VALUES ('b', '2')")
        one().send()
    other().bring()
    assert replies(other) == {("a", "1"), ("b", "2")}


def test_replies_that_two_machines_paid_for_are_joined(one: Machine, other: Machine) -> None:
    with closing(open_replies(one)) as file:
        file.execute("INSERT INTO replies VALUES ('a', '1')")
    one().send()
    other().bring()
    for machine, key in ((one, "b"), (other, "c")):
        with closing(open_replies(machine)) as file:
            file.execute("INSERT INTO replies VALUES (?, 'x')", (key,))
    other().send()
    one().bring()
    assert {key for key, _ in replies(one)} == {"a", "b", "c"}
    one().send()
    other().bring()
    assert {key for key, _ in replies(other)} == {"a", "b", "c"}


def test_names_that_lead_out_of_the_folder_are_left_where_they_are(one: Machine, place: str) -> None:
    scheme, _, name = place.partition("://")
    system = fsspec.filesystem(scheme, use_listings_cache=False)
    one.write("rows.jsonl", "x")
    one().send()
    listing = Remote.listing

    def hostile(remote: Remote, key: str) -> Iterator[tuple[str, str]]:
        yield from listing(remote, key)
        yield from ((f"{name}/run/../../../evil", "v"), (f"{name}/run//b", "v"))

    before = {str(path) for path in one.folder.parents[3].rglob("*")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remote, "listing", hostile)
        one().bring()
    assert {str(path) for path in one.folder.parents[3].rglob("*")} == before
    assert system.exists(f"{name}/run/rows.jsonl")


def test_a_single_file_has_an_address_too(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Machine(f"{place}/audit.json", tmp_path / "one", monkeypatch)
    one.folder.parent.mkdir(parents=True)
    one.folder.write_text("{}")
    one().send()
    other = Machine(f"{place}/audit.json", tmp_path / "other", monkeypatch)
    other().bring()
    assert other.folder.read_text() == "{}"


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_told(home: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read s3://there-is-none/run \(.*bucket does not exist"):
        Pair(home / "s3/there-is-none/run").bring()


def test_a_key_that_is_refused_is_told_and_not_shown(
    bucket: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(UserError, match=r"Cannot read s3://.*check the address, the network") as told:
        Pair(home / bucket.replace("://", "/") / "run").bring()
    assert "a-secret-of-tests" not in str(told.value)


def test_no_room_for_copies_is_told(one: Machine, other: Machine) -> None:
    one.write("a/b", "x")
    one().send()
    other.folder.parent.mkdir(parents=True)
    other.folder.write_text("a file where a folder has to be")
    with pytest.raises(UserError, match=r"Cannot keep a copy of .*MMEDIT_STORAGE"):
        other().bring()


def test_more_files_than_are_held_at_a_time_travel_both_ways(
    one: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmedit_build.storage.syncing.MOST", 3)
    names = {f"images/{number}.png" for number in range(8)}
    for name in names:
        one.write(name, "x")
    counts: list[int] = []
    one().send(lambda _: counts.append)
    assert counts == [3, 3, 2]
    other().bring(lambda _: counts.append)
    assert counts[3:] == [1] * 8
    assert set(other.texts()) == names
    for name in sorted(names)[:5]:
        (one.folder / name).unlink()
    one().send()
    other().bring()
    assert set(other.texts()) == set(sorted(names)[5:])
