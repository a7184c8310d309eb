"""Gemma 3 and PaliGemma 1 and 2."""

from __future__ import annotations

from typing import Any

from transformers import Gemma3Config, PaliGemmaConfig
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests.zoo.common import PATCHES, SLIDING, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import GEMMA_TURN, gemma


def gemma3() -> Member:
    marks = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>"}
    marks |= {"eoi_token": "<end_of_image>"}
    specials = ["<start_of_turn>", "<end_of_turn>", *marks.values()]
    words = gemma(specials, chat_template=GEMMA_TURN, extra_special_tokens=marks)
    config = Gemma3Config(
        vision_config=PATCHES | {"vision_use_head": False},
        text_config=TEXT | {"head_dim": 8, "sliding_window": 10, "layer_types": SLIDING} | ids(words),
        mm_tokens_per_image=4,
        image_token_index=token_id(words, "<image_soft_token>"),
        boi_token_index=token_id(words, "<start_of_image>"),
        eoi_token_index=token_id(words, "<end_of_image>"),
    )
    processor = Gemma3ImageProcessorPil(size=SQUARE)
    return Member(config, words, processor, processor={"image_seq_length": 4})


def paligemma() -> Member:
    return _paligemma({"model_type": "gemma"})


def paligemma2() -> Member:
    capped = {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 5.0}
    return _paligemma({"model_type": "gemma2", "sliding_window": 10, "layer_types": SLIDING, **capped})


def _paligemma(text: dict[str, Any]) -> Member:
    words = gemma(["<image>"], extra_special_tokens={"image_token": "<image>"})
    config = PaliGemmaConfig(
        vision_config=PATCHES | {"projection_dim": 32, "vision_use_head": False},
        text_config=TEXT | {"head_dim": 8} | text | ids(words),
        image_token_index=token_id(words, "<image>"),
        projection_dim=32,
    )
    processor: Any = SiglipImageProcessorPil(size=SQUARE)
    processor.image_seq_length = 16
    return Member(config, words, processor)
