"""Places in storage: in memory, and on a server that speaks S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage import new_bucket, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all copies."""
    monkeypatch.setenv("MMEDIT_STORAGE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty one on the server."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return new_bucket()


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, home: Path) -> str:  # noqa: ARG001  # whoever has a place has copies
    """An address below which nothing is yet."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    found: str = request.getfixturevalue("bucket")
    return found
