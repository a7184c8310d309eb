"""Embeddings, on a checkpoint of a real class with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from mmedit_build.errors import UserError
from mmedit_build.recipe import Similarity
from mmedit_build.services.embedding import Embedder

WORDS = ["[PAD]", "[UNK]", "what", "color", "is", "the", "cat", "boat", "?"]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def pool_by(folder: Path, name: str) -> None:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = dict.fromkeys(("pooling_mode_cls_token", "pooling_mode_mean_tokens"), False)
    fields = {"word_embedding_dimension": 32, **modes, name: True, "include_prompt": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(fields))


def test_cosines_are_those_of_the_mean_of_the_tokens_without_padding(encoder: Path) -> None:
    pool_by(encoder, "pooling_mode_mean_tokens")
    pairs = [("what color is the cat ?", "what color ?"), ("boat", "what is the boat ?"), ("cat", "cat")]
    cosines = Embedder.load(Similarity(model=str(encoder))).cosines(pairs)
    model, tokenizer = AutoModel.from_pretrained(encoder).eval(), AutoTokenizer.from_pretrained(encoder)

    def vector(text: str) -> torch.Tensor:
        with torch.no_grad():
            mean: torch.Tensor = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        return mean

    expected = [float(torch.cosine_similarity(vector(a), vector(b), dim=0)) for a, b in pairs]
    assert cosines == pytest.approx(expected, abs=1e-5)
    assert cosines[2] == pytest.approx(1.0)
    assert cosines[0] < 0.999


def test_other_poolings_and_missing_checkpoints_are_refused(encoder: Path, tmp_path: Path) -> None:
    pool_by(encoder, "pooling_mode_cls_token")
    with pytest.raises(UserError, match="does not average"):
        Embedder.load(Similarity(model=str(encoder)))
    with pytest.raises(UserError, match="Cannot load an embedding model") as raised:
        Embedder.load(Similarity(model=str(tmp_path)))
    assert "\n" not in str(raised.value)
