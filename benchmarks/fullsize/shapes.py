"""Models in their real shapes: configs as published, and small tokenizers of the same kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import Blip2Config, LlavaConfig, Qwen2_5_VLConfig
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.zoo.common import CHATML, Member, ids, token_id
from tests.zoo.tokenizers import VICUNA_TURN, byte_level, chatml, legacy_llama


def blip2_opt() -> Member:
    """Salesforce/blip2-opt-2.7b."""
    words = byte_level(["<image>"], bos="<s>")
    vision = {"hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39}
    vision |= {"num_attention_heads": 16, "image_size": 224, "patch_size": 14}
    language: dict[str, Any] = {"model_type": "opt", "hidden_size": 2560, "word_embed_proj_dim": 2560}
    language |= {"ffn_dim": 10240, "num_hidden_layers": 32, "num_attention_heads": 32}
    config = Blip2Config(
        vision_config=vision,
        qformer_config={"encoder_hidden_size": 1408},
        text_config=language | ids(words) | {"vocab_size": 50272},
        num_query_tokens=32,
        image_token_index=token_id(words, "<image>"),
    )
    return Member(config, words, BlipImageProcessorPil(size={"height": 224, "width": 224}))


def llava() -> Member:
    """llava-hf/llava-1.5-7b-hf."""
    words = legacy_llama(["<image>"], chat_template=VICUNA_TURN)
    vision = {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096}
    vision |= {"num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14}
    language: dict[str, Any] = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008}
    language |= {"num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 4096}
    config = LlavaConfig(
        vision_config=vision | {"projection_dim": 768},
        text_config=language | ids(words) | {"vocab_size": 32064, "rms_norm_eps": 1e-5},
        image_token_index=token_id(words, "<image>"),
    )
    square = {"height": 336, "width": 336}
    return Member(config, words, CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size=square))


def qwen2_5_vl() -> Member:
    """Qwen/Qwen2.5-VL-7B-Instruct, with images held as in recipes/mmedit-qwen2.5-vl-7b.yaml."""
    marks = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    marks |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    template = chatml(
        "<|vision_start|><|image_pad|><|vision_end|>", system="<|im_start|>system\nhelp<|im_end|>\n"
    )
    words = byte_level([*CHATML, *marks.values()], chat_template=template)
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
    vision |= {"out_hidden_size": 3584, "patch_size": 14, "window_size": 112}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    language: dict[str, Any] = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}
    language |= {"num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000}
    marked: dict[str, Any] = {name: token_id(words, token) for name, token in marks.items()}
    config = Qwen2_5_VLConfig(
        vision_config=vision | {"fullatt_block_indexes": [7, 15, 23, 31]},
        text_config=language | ids(words) | {"vocab_size": 152064, "rope_parameters": rope},
        tie_word_embeddings=False,
        **marked,
    )
    size = {"shortest_edge": 256 * 28**2, "longest_edge": 512 * 28**2}
    return Member(config, words, Qwen2VLImageProcessorPil(size=size))


MODELS: dict[str, Callable[[], Member]] = {
    "blip2-opt-2.7b": blip2_opt,
    "llava-1.5-7b": llava,
    "qwen2.5-vl-7b": qwen2_5_vl,
}
