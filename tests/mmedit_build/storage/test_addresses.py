"""Addresses, and the paths of their copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.places import place
from mmedit_build.storage.addresses import address_of, is_address, is_copy, local_path, own_place, shown


@pytest.mark.parametrize(
    "text", ["s3://b/run", "hf://buckets/me/b/run", "memory://x", "az://c/run", "file:///x"]
)
def test_what_an_address_is(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["runs/a", "/runs", "me/data@v1", "http://x/v1", "m@http://x/v1", "s3:/b"])
def test_what_none_is(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize("address", ["s3://b/run", "gs://b/a/c.json", "hf://buckets/me/b/run"])
def test_a_copy_has_one_address(address: str, home: Path) -> None:
    path = local_path(address)
    assert path == home / address.replace("://", "/")
    assert is_copy(path)
    assert address_of(path) == shown(path) == address


def test_a_slash_at_the_end_changes_nothing(home: Path) -> None:
    assert local_path("s3://b/run/") == home / "s3/b/run"


def test_files_of_this_machine_are_no_copies(home: Path) -> None:
    assert local_path("file:///mnt/run") == Path("/mnt/run")
    assert not is_copy(Path("/mnt/run"))
    assert not is_copy(home)
    assert shown(Path("/mnt/run")) == "/mnt/run"


def test_file_addresses_are_paths_for_the_commands(tmp_path: Path) -> None:
    assert place(f"file://{tmp_path}") == tmp_path


def test_what_this_machine_keeps_for_itself_lies_in_no_copy(home: Path) -> None:
    own = own_place(home / "s3/b/cache/features")
    assert not is_copy(own)
    assert own.parts[-4:] == ("s3", "b", "cache", "features")
    assert own_place(Path("runs/cache/features")) == Path("runs/cache/features")


@pytest.mark.parametrize("text", ["s3://", "s3://b/../c", "s3://./b"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="names no folder in storage"):
        local_path(text)


def test_storage_that_may_hold_half_a_file_is_refused() -> None:
    with pytest.raises(UserError, match=r"s3://, gs:// or hf://.*mounted as a folder"):
        place("sftp://host/run")


def test_without_a_session_an_address_is_refused(home: Path) -> None:  # noqa: ARG001
    with pytest.raises(UserError, match="inside `with session"):
        place("s3://b/run")
