"""LLaVA-1.5, LLaVA-NeXT and LLaVA-OneVision."""

from __future__ import annotations

from transformers import LlavaConfig, LlavaNextConfig, LlavaOnevisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from tests.zoo.common import CHATML, PATCHES, SIDE, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import VICUNA_TURN, byte_level, chatml, legacy_llama

CLIP = {"patch_size": 4, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
PINPOINTS = [[16, 32], [32, 16], [32, 32]]


def llava() -> Member:
    words = legacy_llama(["<image>"], chat_template=VICUNA_TURN)
    config = LlavaConfig(
        vision_config=PATCHES | {"model_type": "clip_vision_model", "projection_dim": 24},
        text_config=TEXT | {"model_type": "llama"} | ids(words),
        image_token_index=token_id(words, "<image>"),
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE)
    return Member(config, words, processor, processor=CLIP)


def llava_next() -> Member:
    words = legacy_llama(["<image>"], chat_template=VICUNA_TURN)
    config = LlavaNextConfig(
        vision_config=PATCHES | {"model_type": "clip_vision_model", "projection_dim": 24},
        text_config=TEXT | {"model_type": "mistral", "sliding_window": None} | ids(words),
        image_token_index=token_id(words, "<image>"),
        image_grid_pinpoints=PINPOINTS,
    )
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS
    )
    return Member(config, words, processor, processor=CLIP)


def llava_onevision() -> Member:
    words = byte_level([*CHATML, "<image>"], chat_template=chatml("<image>\n"))
    config = LlavaOnevisionConfig(
        vision_config=PATCHES | {"model_type": "siglip_vision_model", "vision_use_head": False},
        text_config=TEXT | {"model_type": "qwen2"} | ids(words),
        image_token_index=token_id(words, "<image>"),
        image_grid_pinpoints=PINPOINTS,
    )
    processor = LlavaOnevisionImageProcessorPil(size=SQUARE, image_grid_pinpoints=PINPOINTS)
    settings = {"num_image_tokens": 16, "vision_feature_select_strategy": "full"}
    return Member(config, words, processor, processor=settings)
