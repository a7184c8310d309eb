from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
import torch

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.families.pieces import Seen
from mmedit_build.mllm.kept import KeptFeatures
from mmedit_build.mllm.rows import Layout

CPU = torch.device("cpu")


def seen(size: int = 4) -> Seen:
    deep = (torch.ones(2, size), torch.zeros(2, size))
    return Seen(torch.randn(2, size).to(torch.bfloat16), Layout("<image>", (1, 1), (1, 2, 1)), deep)


def test_what_was_seen_comes_back_as_it_was(tmp_path: Path) -> None:
    one = seen()
    KeptFeatures(tmp_path, CPU).put("a question", one)
    found = KeptFeatures(tmp_path, CPU).get("a question")
    assert found is not None
    assert found.layout == one.layout
    assert found.features.dtype == torch.bfloat16
    assert all(map(torch.equal, (found.features, *found.deep), (one.features, *one.deep)))
    assert KeptFeatures(tmp_path, CPU).get("another") is None


def test_a_full_folder_takes_no_more(tmp_path: Path) -> None:
    kept = KeptFeatures(tmp_path, CPU, limit=1000)
    for key in "abc":
        kept.put(key, seen(20))
    there = [key for key in "abc" if kept.get(key) is not None]
    assert there == ["a"]
    KeptFeatures(tmp_path, CPU, limit=1000).put("d", seen(20))
    assert kept.get("d") is None


@pytest.mark.parametrize("damage", [b"", b"\x08", b"\x08\0\0\0\0\0\0\0{}      ", None])
def test_damaged_files_are_as_if_they_were_not_there(tmp_path: Path, damage: bytes | None) -> None:
    kept = KeptFeatures(tmp_path, CPU)
    kept.put("a", seen())
    (file,) = tmp_path.glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    assert kept.get("a") is None


def test_a_folder_that_takes_no_files_only_costs_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = KeptFeatures(tmp_path / "file", CPU)
    for key in "ab":
        kept.put(key, seen())
    assert kept.get("a") is None
    assert len(caplog.records) == 1


def test_a_second_process_encodes_nothing(
    mllm: MLLM, folder: str, pictures: list[PIL.Image.Image], tmp_path: Path
) -> None:
    queries = [Query(picture, "a") for picture in pictures]
    mllm.keep_features(tmp_path)
    expected = mllm.image_features(queries)
    with mllm.fresh_features():
        mllm.image_features([Query(pictures[0].rotate(90), "a")])
    assert len(list(tmp_path.glob("*/*.safetensors"))) == len(pictures)
    other = MLLM.load(folder, device="cpu")
    other.keep_features(tmp_path)
    assert all(map(torch.equal, other.image_features(queries), expected))
    assert other.counts.vision == 0
    with other.fresh_features():
        other.image_features(queries)
    assert other.counts.vision == len(pictures)
