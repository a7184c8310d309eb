"""Families that cut images into tiles: InternVL, Idefics3 and SmolVLM."""

from __future__ import annotations

from typing import Any

from transformers import (
    Idefics3Config,
    InternVLConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from tests.zoo.common import CHATML, EYE, PATCHES, SIDE, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import SMOLVLM_TURN, byte_level, chatml


def internvl() -> Member:
    marks = {"start_image_token": "<img>", "end_image_token": "</img>"}
    marks |= {"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    specials = [*CHATML, *marks.values()]
    words = byte_level(specials, chat_template=chatml("<IMG_CONTEXT>\n"), extra_special_tokens=marks)
    config = InternVLConfig(
        vision_config=EYE | {"image_size": [SIDE, SIDE], "patch_size": [4, 4]},
        text_config=TEXT | {"model_type": "qwen2"} | ids(words),
        image_token_id=token_id(words, "<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    processor = GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=3)
    return Member(config, words, processor, processor={"image_seq_length": 4})


def _tiled_words() -> PreTrainedTokenizerFast:
    places = [f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)]
    specials = ["<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<global-img>", "<image>"]
    return byte_level([*specials, *places], bos="<|im_start|>", chat_template=SMOLVLM_TURN)


def _tiled(kind: type[Any], words: PreTrainedTokenizerFast) -> PretrainedConfig:
    config: PretrainedConfig = kind(
        vision_config=PATCHES,
        text_config=TEXT | {"model_type": "llama"} | ids(words),
        image_token_id=token_id(words, "<image>"),
        scale_factor=2,
    )
    return config


def idefics3() -> Member:
    words = _tiled_words()
    processor = Idefics3ImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": SIDE})
    return Member(_tiled(Idefics3Config, words), words, processor, processor={"image_seq_len": 4})


def smolvlm() -> Member:
    words = _tiled_words()
    processor = SmolVLMImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": SIDE})
    return Member(_tiled(SmolVLMConfig, words), words, processor, processor={"image_seq_len": 4})
