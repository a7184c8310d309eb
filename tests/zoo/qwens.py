"""Qwen-VL v1, Qwen2-VL, Qwen2.5-VL and Qwen3-VL."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2VLConfig, Qwen3VLConfig
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmedit_build.converters.qwen_vl import TURN
from mmedit_build.mllm.families.own import register
from mmedit_build.mllm.families.qwen_vl_v1_model import QwenVL, QwenVLConfig
from tests.zoo.common import CHATML, EYE, PATCHES, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import byte_level, chatml


def qwen_vl_v1() -> Member:
    register(QwenVL)
    words = byte_level([*CHATML, "<img>", "</img>", "<imgpad>"], chat_template=TURN)
    config = QwenVLConfig(
        vision_config=PATCHES | {"hidden_act": "gelu", "layer_norm_eps": 1e-6},
        text_config=TEXT | {"num_key_value_heads": 4} | ids(words),
        num_queries=9,
        resampler_heads=2,
        image_token_id=token_id(words, "<imgpad>"),
    )
    return Member(config, words, BlipImageProcessorPil(size=SQUARE))


def _qwen_words(system: str) -> PreTrainedTokenizerFast:
    specials = [*CHATML, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    template = chatml("<|vision_start|><|image_pad|><|vision_end|>", system=system)
    return byte_level(specials, chat_template=template)


def _special_ids(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {name: token_id(words, token) for name, token in names.items()}


def _qwen_processor() -> Qwen2VLImageProcessorPil:
    size = {"shortest_edge": 16 * 16, "longest_edge": 24 * 32}
    return Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, temporal_patch_size=2, size=size)


def qwen2_vl() -> Member:
    words = _qwen_words("<|im_start|>system\nhelp<|im_end|>\n")
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    eye = {"embed_dim": 24, "hidden_size": 32, "depth": 3, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    config = Qwen2VLConfig(
        vision_config=eye,
        text_config=TEXT | {"rope_parameters": rope} | ids(words),
        tie_word_embeddings=True,
        **_special_ids(words),
    )
    return Member(config, words, _qwen_processor())


def qwen2_5_vl() -> Member:
    words = _qwen_words("<|im_start|>system\nhelp<|im_end|>\n")
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    eye = EYE | {"depth": 3, "num_heads": 2, "out_hidden_size": 32, "patch_size": 4}
    eye |= {"window_size": 16, "fullatt_block_indexes": [1]}
    config = Qwen2_5_VLConfig(
        vision_config=eye, text_config=TEXT | {"rope_parameters": rope} | ids(words), **_special_ids(words)
    )
    return Member(config, words, _qwen_processor())


def qwen3_vl() -> Member:
    words = _qwen_words("")
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    eye = EYE | {"depth": 3, "num_heads": 2, "out_hidden_size": 32, "patch_size": 4}
    eye |= {"num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1]}
    config = Qwen3VLConfig(
        vision_config=eye,
        text_config=TEXT | {"rope_parameters": rope, "head_dim": 8} | ids(words),
        tie_word_embeddings=True,
        **_special_ids(words),
    )
    return Member(config, words, _qwen_processor())
