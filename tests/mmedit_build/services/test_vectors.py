"""Vectors are computed once, and again where their file is damaged or something else is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mmedit_build.services import vectors
from mmedit_build.services.vectors import Floats, Vectors


class Encoder:
    """Tells a name by its length, and which names it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, names: Sequence[str]) -> Floats:
        self.seen += names
        return np.array([[len(name), 1.0] for name in names], dtype=np.float32)


def of(folder: Path, names: Sequence[str], about: str = "a") -> tuple[dict[str, float], list[str]]:
    encoder, done = Encoder(), list[int]()
    found = Vectors(folder, {"model": about}).of(names, encoder, done.append)
    assert sum(done) == len(set(names))
    return {name: float(vector[0]) for name, vector in found.items()}, encoder.seen


def test_each_name_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "CHUNK", 2)
    names = ["ccc", "a", "bb", "a"]
    wanted = {"a": 1.0, "bb": 2.0, "ccc": 3.0}
    assert of(tmp_path, names) == (wanted, ["a", "bb", "ccc"])
    assert of(tmp_path, names) == (wanted, [])
    # A chunk that was lost costs itself, and one that is damaged, too.
    lost, damaged = sorted(tmp_path.glob("*.npy"))
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-3])
    found, seen = of(tmp_path, names)
    assert found == wanted
    assert sorted(seen) == ["a", "bb", "ccc"]


def test_other_names_and_other_encoders_make_files_of_their_own(tmp_path: Path) -> None:
    of(tmp_path, ["a"])
    assert of(tmp_path, ["a"], about="b") == ({"a": 1.0}, ["a"])
    assert of(tmp_path, ["a", "bb"], about="b") == ({"a": 1.0, "bb": 2.0}, ["a", "bb"])
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_nothing_is_embedded_of_nothing(tmp_path: Path) -> None:
    assert of(tmp_path, []) == ({}, [])


def test_no_pickles_are_read(tmp_path: Path) -> None:
    of(tmp_path, ["a"])
    (path,) = tmp_path.glob("*.npy")
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert of(tmp_path, ["a"]) == ({"a": 1.0}, ["a"])
