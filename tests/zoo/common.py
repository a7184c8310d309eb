"""What checkpoints of all families are made of, and sizes that tiny ones share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerFast

SIDE = 16
"""Of the square that images are brought to, in pixels."""
SQUARE = {"height": SIDE, "width": SIDE}
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
EYE: dict[str, Any] = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
PATCHES = EYE | {"image_size": SIDE, "patch_size": 4}
CHATML = ["<|im_start|>", "<|im_end|>"]
SLIDING = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]


@dataclass(frozen=True, slots=True)
class Member:
    """What a checkpoint is made of."""

    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerFast
    image_processor: Any
    prompt_tokenizer: PreTrainedTokenizerFast | None = None
    processor: dict[str, Any] = field(default_factory=dict)
    """Settings of the whole processor."""


def ids(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What the config of a language model says of its vocabulary."""
    names = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    return {"vocab_size": len(words), "pad_token_id": words.pad_token_id, **names}


def token_id(words: PreTrainedTokenizerFast, token: str) -> int:
    return int(words.get_vocab()[token])
