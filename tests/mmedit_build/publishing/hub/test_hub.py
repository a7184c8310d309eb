from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from mmedit_build.publishing.hub import Published, push

# Of the client, about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PUBLISH = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from mmedit_build.publishing import publish
folder, repository, tag = sys.argv[1:]
print(json.dumps(asdict(publish(Path(folder), repository, private=True, tag=tag or None))))
"""
LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for config in ("vqa", "caption", "text_locality", "image_locality"):
    tables = load_dataset(sys.argv[1], config, revision=sys.argv[2])
    found[config] = {split: len(table) for split, table in tables.items()}
    assert all(row["image"].size == (64, 64) for table in tables.values() for row in table if "image" in row)
streamed = load_dataset(sys.argv[1], "caption", split="train", revision=sys.argv[2], streaming=True)
assert [row["id"] for row in streamed] == ["caption/val2014/5", "caption/val2014/6"]
print(json.dumps(found))
"""
ROWS = {
    "vqa": {"train": 3, "test": 2},
    "caption": {"train": 2, "test": 1},
    "text_locality": {"train": 1, "test": 1},
    "image_locality": {"train": 6, "test": 4},
}


def python(hub: Any, home: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, as the Hub's client reads its settings when it is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_TOKEN": hub.token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
    )


def send(api: HfApi, folder: Path, hub: Any, tag: str | None = None) -> Published:
    return push(api, folder, hub.name, private=True, tag=tag)


def local(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def remote(hub: Any) -> dict[str, bytes]:
    return {name: data for name, data in hub.files.items() if name != ".gitattributes"}


def test_publishing_makes_one_commit_and_a_tag_and_loads_back(hub: Any, world: Any, tmp_path: Path) -> None:
    folder = world.build()
    first = python(hub, tmp_path / "home", PUBLISH, str(folder), hub.name, "v1.0")
    assert first.returncode == 0, first.stderr
    told_first = json.loads(first.stdout)
    assert remote(hub) == local(folder)
    assert len(hub.repo.commits) == 2, "the empty repository, and the dataset"
    assert hub.repo.private
    assert told_first == {
        "repository": hub.name,
        "commit": hub.repo.commits[1][0],
        "tag": "v1.0",
        "changed": True,
        "url": f"{hub.url}/datasets/{hub.name}/tree/v1.0",
    }
    assert hub.repo.tags == {"v1.0": told_first["commit"]}
    assert hub.asked("resolve") > 0, "it is loaded back"

    loaded = python(hub, tmp_path / "other", LOAD, hub.name, "v1.0")
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout) == ROWS

    sent = hub.asked("commit"), hub.asked("blob"), hub.asked("tag")
    again = python(hub, tmp_path / "home", PUBLISH, str(folder), hub.name, "v1.0")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == told_first | {"changed": False}
    assert (hub.asked("commit"), hub.asked("blob"), hub.asked("tag")) == sent
    assert hub.token not in first.stdout + first.stderr + again.stdout + again.stderr


def test_a_second_publish_sends_nothing(hub: Any, world: Any, client: HfApi) -> None:
    folder = world.build()
    first = send(client, folder, hub)
    before = list(hub.requests)
    second = send(client, folder, hub)
    assert second == replace(first, changed=False)
    assert set(hub.requests[len(before) :]) == {"create", "info", "tree"}


def test_large_files_are_sent_before_the_commit_that_names_them(hub: Any, world: Any, client: HfApi) -> None:
    send(client, world.build(), hub)
    order = [route for route in hub.requests if route in ("yaml", "blob", "commit")]
    assert order[0] == "yaml", "the card is looked at before anything large is sent"
    assert order[-1] == "commit"
    assert order.count("commit") == 1
    assert order.count("blob") == 8


def test_a_change_sends_what_changed_and_takes_away_what_is_stale(
    hub: Any, world: Any, client: HfApi
) -> None:
    send(client, world.build(), hub)
    blobs = hub.asked("blob")
    hub.repo.commit({"notes.md": b"not ours", "data/other/train.parquet": b"not ours"})
    folder = world.build([edit for edit in world.edits if edit.task == "vqa"])
    published = send(client, folder, hub)
    assert published.changed
    assert hub.asked("commit") == 2
    assert hub.asked("blob") == blobs + 2, "the two pools; the questions are the same"
    assert remote(hub) == local(folder) | {"notes.md": b"not ours", "data/other/train.parquet": b"not ours"}


def test_a_tag_can_be_added_later_without_a_commit(hub: Any, world: Any, client: HfApi) -> None:
    folder = world.build()
    first = send(client, folder, hub)
    assert send(client, folder, hub, "v1.0") == replace(
        first, tag="v1.0", changed=False, url=f"{hub.url}/datasets/{hub.name}/tree/v1.0"
    )
    assert hub.repo.tags == {"v1.0": first.commit}
    assert send(client, folder, hub, "v1.0").tag == "v1.0"
    assert hub.asked("tag") == 1


def test_what_comes_back_altered_is_noticed(hub: Any, world: Any, tmp_path: Path) -> None:
    folder, name = world.build(), "data/vqa/test-00000-of-00001.parquet"
    data = (folder / name).read_bytes()
    hub.altered = {name: data[:-1] + bytes([data[-1] ^ 1])}
    done = python(hub, tmp_path / "home", PUBLISH, str(folder), hub.name, "v1.0")
    assert done.returncode != 0
    assert f"UserError: {name} at {hub.url}/datasets/someone/drawn/tree/v1.0 is not the file" in done.stderr
