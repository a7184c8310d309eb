from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import huggingface_hub.utils._http
import pytest
from huggingface_hub import HfApi

from mmedit_build.errors import UserError
from mmedit_build.publishing import publish
from mmedit_build.publishing.faults import told
from mmedit_build.publishing.hub import Published, check_loading, push

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


@pytest.fixture
def client(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HfApi:
    """The real client in this process, turned to the server; it waits for nothing between its attempts."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setattr(huggingface_hub.utils._http, "time", SimpleNamespace(sleep=lambda _: None))
    return HfApi(token=hub.token, endpoint=hub.url)


def send(api: HfApi, folder: Path, hub: Any, tag: str | None = None) -> Published:
    with told(hub.name):
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


def test_a_tag_of_other_content_is_refused_before_anything_is_sent(
    hub: Any, world: Any, client: HfApi
) -> None:
    send(client, world.build(), hub, "v1.0")
    before = len(hub.requests)
    folder = world.build(world.edits[:5])
    with pytest.raises(UserError, match=r"The tag v1\.0 of someone/drawn already names other content"):
        send(client, folder, hub, "v1.0")
    assert set(hub.requests[before:]) == {"create", "info", "refs", "tree"}


def test_a_change_by_someone_else_is_not_overwritten(hub: Any, world: Any, client: HfApi) -> None:
    folder = world.build()

    def meddle() -> None:
        hub.repo.commit({"README.md": b"theirs"})

    hub.meanwhile = meddle
    with pytest.raises(UserError, match="was changed by someone else at the same time"):
        send(client, folder, hub, "v1.0")
    assert remote(hub) == {"README.md": b"theirs"}
    assert hub.repo.tags == {}
    send(client, folder, hub, "v1.0")
    assert remote(hub) == local(folder)


def test_a_cut_upload_is_tried_again(hub: Any, world: Any, client: HfApi) -> None:
    folder = world.build()
    hub.faults = {"blob": ["cut", 500, "cut"]}
    send(client, folder, hub)
    assert remote(hub) == local(folder)


@pytest.mark.parametrize(
    ("route", "fault", "sentence"),
    [
        ("blob", "cut", "The connection to the Hub failed"),
        ("blob", 503, r"The Hub failed on someone/drawn \(503\)"),
        ("batch", 500, r"The Hub failed on someone/drawn \(500\)"),
        ("commit", 500, r"The Hub failed on someone/drawn \(500\)"),
        ("commit", "cut", "The connection to the Hub failed"),
        ("commit", 400, r"does not take what was sent to someone/drawn \(400\)"),
        ("preupload", 403, r"The token may not write to someone/drawn \(403\)"),
        ("create", 401, r"does not accept the token for someone/drawn \(401\)"),
        ("tree", 429, r"wants fewer requests for now \(429\)"),
        ("info", 404, r"shows no dataset someone/drawn to this token \(404\)"),
    ],
)
def test_a_failure_leaves_nothing_half_published(
    hub: Any, world: Any, client: HfApi, route: str, fault: Any, sentence: str
) -> None:
    folder = world.build()
    send(client, world.build(world.edits[:5]), hub)
    before, commits = dict(hub.files), len(hub.repo.commits)
    folder = world.build()
    hub.blobs.clear()
    hub.faults = {route: [fault] * 100}
    if route == "create":
        # Else the client finds that the repository is there, and goes on.
        hub.faults["info"] = [fault] * 100
    with pytest.raises(UserError, match=sentence) as caught:
        send(client, folder, hub, "v2")
    assert hub.token not in str(caught.value)
    assert caught.value.__cause__ is None
    assert (hub.files, len(hub.repo.commits), hub.repo.tags) == (before, commits, {})
    hub.faults = {}
    assert send(client, folder, hub, "v2").changed
    assert remote(hub) == local(folder)


def test_a_lost_tag_is_made_up_for_by_the_next_run(hub: Any, world: Any, client: HfApi) -> None:
    folder = world.build()
    hub.faults = {"tag": [500]}
    with pytest.raises(UserError, match="run the command again"):
        send(client, folder, hub, "v1.0")
    published = send(client, folder, hub, "v1.0")
    assert not published.changed
    assert hub.repo.tags == {"v1.0": published.commit}
    assert len(hub.repo.commits) == 2


@pytest.mark.usefixtures("client")
def test_a_wrong_token_is_one_sentence_without_it(
    hub: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world.build()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_secret")
    with pytest.raises(UserError, match=r"does not accept the token for someone/drawn \(401\)") as caught:
        publish(folder, hub.name)
    assert "hf_wrong" not in str(caught.value)
    assert hub.repos == {}


@pytest.mark.usefixtures("client")
def test_without_a_token_nothing_is_asked(
    hub: Any, world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = world.build()
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="Publishing needs a token"):
        publish(folder, hub.name)
    assert hub.requests == []


@pytest.mark.usefixtures("client")
def test_without_a_network_it_is_one_sentence(hub: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world.build()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="The connection to the Hub failed"):
        publish(folder, hub.name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        publish(folder, hub.name)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", ["drawn", "a/b/c", "a/..", "a b/c", "", "a/" + "b" * 99, "https://x/y"])
def test_an_invalid_name_is_refused(hub: Any, world: Any, name: str) -> None:
    with pytest.raises(UserError, match="is no name of a dataset on the Hub: give it as user/name"):
        publish(world.build(), name)
    assert hub.requests == []


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("tag", ["", "v 1", "-v", "v1.lock", "a..b", "refs/tags/v1", "main", "0" * 40])
def test_an_invalid_tag_is_refused(hub: Any, world: Any, tag: str) -> None:
    with pytest.raises(UserError, match="cannot be a tag"):
        publish(world.build(), hub.name, tag=tag)
    assert hub.requests == []


@pytest.mark.usefixtures("client")
def test_a_broken_folder_is_refused_before_anything_is_sent(hub: Any, world: Any) -> None:
    folder = world.build()
    (folder / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"the file README\.md was changed after the build"):
        publish(folder, hub.name)
    assert hub.requests == []


def test_a_card_that_the_hub_does_not_take_is_told_before_anything_large_is_sent(
    hub: Any, world: Any, client: HfApi
) -> None:
    folder = world.build()
    card = folder / "README.md"
    card.write_text(
        card.read_text(encoding="utf-8").replace("license: other", "license: 3"), encoding="utf-8"
    )
    with pytest.raises(UserError, match=r"does not take the front matter of README\.md.*must be a string"):
        send(client, folder, hub)
    assert hub.asked("blob") == 0


@pytest.mark.parametrize("name", ["README.md", "data/vqa/test-00000-of-00001.parquet"])
def test_what_comes_back_altered_is_noticed(hub: Any, world: Any, client: HfApi, name: str) -> None:
    folder = world.build()
    published = send(client, folder, hub, "v1.0")
    data = hub.files[name]
    hub.altered = {name: data[:-1] + bytes([data[-1] ^ 1])}
    with pytest.raises(UserError, match=f"{name} at .*/tree/v1.0 is not the file that was sent"):
        check_loading(client, folder, published)
