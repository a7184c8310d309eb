from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi

from mmedit_build.errors import UserError
from mmedit_build.publishing import publish
from mmedit_build.publishing.faults import told
from mmedit_build.publishing.hub import Published, push

# Of the client, about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def send(api: HfApi, folder: Path, hub: Any, tag: str | None = None) -> Published:
    with told(hub.name):
        return push(api, folder, hub.name, private=True, tag=tag)


def local(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def remote(hub: Any) -> dict[str, bytes]:
    return {name: data for name, data in hub.files.items() if name != ".gitattributes"}


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


@pytest.mark.parametrize("fault", ["html", "list", "cut"])
@pytest.mark.parametrize("route", ["create", "info", "refs", "tree", "preupload", "batch", "commit", "tag"])
def test_whatever_answers_instead_of_the_hub_is_one_sentence(
    hub: Any, world: Any, client: HfApi, route: str, fault: Any
) -> None:
    folder = world.build()
    hub.faults = {route: [fault] * 20}
    with suppress(UserError):
        send(client, folder, hub, "v1.0")
    hub.faults = {}
    send(client, folder, hub, "v1.0")
    assert remote(hub) == local(folder)


@pytest.mark.parametrize("fault", ["html", "list", "cut"])
def test_whatever_is_delivered_instead_of_files_is_one_sentence(
    hub: Any, world: Any, client: HfApi, fault: Any
) -> None:
    published = send(client, world.build(), hub)
    hub.faults = {"resolve": [fault] * 100}
    with pytest.raises(UserError, match="run the command again"), told(hub.name):
        client.snapshot_download(hub.name, repo_type="dataset", revision=published.commit)


def test_a_bug_of_ours_is_no_fault_of_the_hub(hub: Any) -> None:
    with pytest.raises(TypeError), told(hub.name):
        raise TypeError("ours")


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
