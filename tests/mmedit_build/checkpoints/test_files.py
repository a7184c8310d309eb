"""Small files that are not what they should be are told by name, before any weights are read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import OBJECTS, find_files
from mmedit_build.errors import UserError
from tests.mmedit_build.checkpoints.conftest import Way


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe\x00"])
def test_a_small_file_that_is_no_object_is_named(way: Way, content: bytes) -> None:
    small = [path for path in sorted(way.folder.rglob("*.json")) if path.name in OBJECTS]
    assert len(small) >= 3
    for path in small:
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(UserError) as raised:
            way.open()
        path.write_bytes(kept)
        assert str(path.relative_to(way.folder)) in str(raised.value)
        assert str(way.folder) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return Path(shutil.copytree(locate("miniature/chat"), tmp_path / "chat"))


def test_files_are_found_and_types_checked(chat: Path) -> None:
    files = find_files(str(chat))
    assert "config.json" in files.names
    files.check_model({"llama"})
    with pytest.raises(ValueError, match="a model of type 'llama'"):
        files.check_model({"opt"})


def test_what_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        find_files("/nowhere/at/all")
    with pytest.raises(OSError, match="outgoing traffic has been disabled"):
        find_files("some/model")


def test_a_file_of_several_that_is_not_there(chat: Path) -> None:
    index = chat / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(UserError, match=r"lacks model-2\.safetensors"):
        find_files(str(chat)).check_weights()
    index.write_text("{}")
    with pytest.raises(UserError, match="has no weight_map"):
        find_files(str(chat)).check_weights()


def test_no_weights_at_all(chat: Path) -> None:
    (chat / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no weights"):
        find_files(str(chat)).check_weights()


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an id on the Hub leaves on this machine: the chat model, as tiny/chat."""
    home = tmp_path / "models--tiny--chat"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return Path(shutil.copytree(locate("miniature/chat"), home / "snapshots" / ("a" * 40)))


def test_what_was_downloaded_before_needs_no_connection(downloaded: Path) -> None:
    files = find_files("tiny/chat")
    assert files.folder == downloaded
    files.check_model({"llama"})
    (downloaded / "tokenizer.json").write_text("[]")
    with pytest.raises(
        UserError, match=r"tokenizer\.json of the checkpoint 'tiny/chat' holds no JSON object"
    ):
        find_files("tiny/chat")
