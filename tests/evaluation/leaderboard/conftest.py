"""Real results of a real method on a few drawn cases, handed in; and the Hub on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner, Result

from evaluation.api import evaluate
from evaluation.cli import app
from evaluation.leaderboard.entries import PACKED, RESULTS, Entry, packed, parse_entry, sha256, unpacked
from evaluation.leaderboard.submitting import prepare, write_files
from evaluation.results.records import CaseResult
from tests.hub import client, hub

__all__ = ["client", "hub"]
LINE = TypeAdapter(CaseResult)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="session")
def judged(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mmedit-eval wrote of FT, and of it on the first edits only."""
    folder = tmp_path_factory.mktemp("judged")
    fields: dict[str, Any] = {"dataset": str(dataset), "cache": folder / "cache", "device": "cpu"}
    evaluate("ft", out=folder / "all", **fields)
    evaluate("ft", out=folder / "few", limit=2, task="vqa", **fields)
    return folder


@pytest.fixture(scope="session")
def handed_in(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed-in")
    write_files(prepare(judged / "all", None, None, limited=False), folder)
    return folder


@pytest.fixture
def folder(handed_in: Path, tmp_path: Path) -> Path:
    """A leaderboard to tamper with."""
    return Path(shutil.copytree(handed_in, tmp_path / "board"))


Change = Callable[[list[CaseResult]], list[CaseResult]]


class Tamper(Protocol):
    def __call__(self, method: str, results: Change = ..., **fields: Any) -> str: ...


@pytest.fixture
def tamper(folder: Path) -> Tamper:
    """Alters the entry of a method on questions, with all digests made to fit; its place."""

    def alter(method: str, results: Change = lambda same: same, **fields: Any) -> str:
        (path,) = (folder / RESULTS).glob(f"*/*/vqa/{method}/*.json")
        lines = path.with_name(path.stem + PACKED)
        entry = parse_entry(path.read_bytes())
        data = b"".join(
            LINE.dump_json(one) + b"\n"
            for one in results([LINE.validate_json(line) for line in unpacked(lines).splitlines()])
        )
        altered: Entry = replace(entry, answers=sha256(data), **fields)
        path.unlink()
        lines.unlink()
        (folder / f"{altered.place}.json").write_bytes(altered.text())
        (folder / f"{altered.place}{PACKED}").write_bytes(packed(data))
        return altered.place

    return alter
