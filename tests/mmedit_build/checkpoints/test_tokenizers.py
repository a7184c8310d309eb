"""Tokenizers that their models cannot be used with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError
from tests.mmedit_build.checkpoints.conftest import LOADS


def copy(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(locate(f"miniature/{name}"), tmp_path / name))


def refused(name: str, folder: Path) -> str:
    with pytest.raises(UserError) as raised:
        LOADS[name](str(folder))
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)
    return str(raised.value)


def change(path: Path, **fields: Any) -> None:
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def test_a_chat_model_without_a_token_to_pad_with(tmp_path: Path) -> None:
    folder = copy("chat", tmp_path)
    change(folder / "tokenizer_config.json", pad_token=None, eos_token=None)
    assert "has no pad token" in refused("chat", folder)


def test_a_generator_that_does_not_know_how_long_texts_may_be(tmp_path: Path) -> None:
    folder = copy("diffusion", tmp_path)
    (folder / "tokenizer" / "tokenizer_config.json").unlink()
    assert "copy tokenizer/tokenizer_config.json too" in refused("diffusion", folder)


@pytest.mark.parametrize(
    ("name", "file"), [("clip", "tokenizer.json"), ("diffusion", "tokenizer/tokenizer.json")]
)
def test_no_words(name: str, file: str, tmp_path: Path) -> None:
    folder = copy(name, tmp_path)
    (folder / file).unlink()
    assert "knows no word" in refused(name, folder)


@pytest.mark.parametrize("name", ["chat", "clip", "mllm"])
def test_the_tokenizer_of_a_larger_model(name: str, tmp_path: Path) -> None:
    folder = copy(name, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"word{number}" for number in range(9)])
    tokenizer.add_tokens(["left"])
    tokenizer.save_pretrained(folder)
    assert "the tokenizer that belongs to it" in refused(name, folder)


def test_a_template_that_leaves_out_what_is_said(tmp_path: Path) -> None:
    folder = copy("chat", tmp_path)
    (folder / "chat_template.jinja").write_text("Hello")
    assert "leaves out what is said" in refused("chat", folder)
    (folder / "chat_template.jinja").write_text("{% for")
    assert "Cannot load a chat model" in refused("chat", folder)
