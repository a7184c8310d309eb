"""Types of models that no family file knows: Mistral 3 and Aya Vision."""

from __future__ import annotations

from transformers import AyaVisionConfig, Mistral3Config
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from tests.zoo.common import EYE, PATCHES, SIDE, SLIDING, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import byte_level, chatml


def mistral3() -> Member:
    words = byte_level(
        ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "<|im_start|>", "<|im_end|>"],
        bos="<s>",
        chat_template=chatml("[IMG]"),
    )
    config = Mistral3Config(
        vision_config=EYE | {"model_type": "pixtral", "head_dim": 12, "image_size": 32, "patch_size": 4},
        text_config=TEXT | {"model_type": "mistral", "sliding_window": None, "head_dim": 8} | ids(words),
        image_token_index=token_id(words, "[IMG]"),
        tie_word_embeddings=False,
    )
    processor = PixtralImageProcessorPil(size={"longest_edge": 32}, patch_size={"height": 8, "width": 8})
    return Member(config, words, processor, processor={"patch_size": 4, "spatial_merge_size": 2})


def aya_vision() -> Member:
    marks = ["<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "TILE", "TILE_GLOBAL"]
    words = byte_level([*marks, "<|im_start|>", "<|im_end|>"], bos="<s>", chat_template=chatml("<image>"))
    text = {"model_type": "cohere2", "layer_types": SLIDING, "sliding_window": 10, "head_dim": 8}
    config = AyaVisionConfig(
        vision_config=PATCHES | {"model_type": "siglip_vision_model", "vision_use_head": False},
        text_config=TEXT | text | ids(words),
        image_token_index=token_id(words, "<|IMG_PATCH|>"),
    )
    processor = GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=3)
    return Member(config, words, processor, processor={"patch_size": 8, "img_size": SIDE})
