"""BLIP-2 with an OPT and with a Llama, and InstructBLIP."""

from __future__ import annotations

from typing import Any

from transformers import Blip2Config, InstructBlipConfig, PretrainedConfig, PreTrainedTokenizerFast
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from tests.zoo.common import EYE, PATCHES, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import byte_level, legacy_llama

QUERY_TOKENS = 5


def blip2_opt() -> Member:
    words = byte_level([], bos="<s>")
    text = {"model_type": "opt", "hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 48}
    text |= {"num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 512}
    return Member(_blip2(Blip2Config, text, words), words, BlipImageProcessorPil(size=SQUARE))


def blip2_llama() -> Member:
    words = legacy_llama([])
    return Member(
        _blip2(Blip2Config, TEXT | {"model_type": "llama"}, words), words, BlipImageProcessorPil(size=SQUARE)
    )


def instructblip() -> Member:
    words, read = legacy_llama([]), byte_level([], bos="<s>")
    config = _blip2(InstructBlipConfig, TEXT | {"model_type": "llama"}, words, vocab_size=len(read))
    return Member(config, words, BlipImageProcessorPil(size=SQUARE), read)


def _blip2(
    kind: type[Any], text: dict[str, Any], words: PreTrainedTokenizerFast, vocab_size: int = 8
) -> PretrainedConfig:
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config: PretrainedConfig = kind(
        vision_config=PATCHES,
        qformer_config=EYE | {"encoder_hidden_size": 24, "vocab_size": vocab_size},
        text_config=text | ids(words),
        num_query_tokens=QUERY_TOKENS,
        image_token_index=token_id(words, "<image>"),
    )
    return config
