"""mPLUG-Owl2."""

from __future__ import annotations

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from mmedit_build.converters.mplug_owl2 import IMAGE, TURN
from mmedit_build.mllm.families.mplug_owl2_model import MplugOwl2, MplugOwl2Config
from mmedit_build.mllm.families.own import register
from tests.zoo.common import PATCHES, SIDE, SQUARE, TEXT, Member, ids, token_id
from tests.zoo.tokenizers import legacy_llama


def mplug_owl2() -> Member:
    register(MplugOwl2)
    words = legacy_llama([], chat_template=TURN)
    known = ids(words)
    # Outside of the vocabulary, as in the checkpoint.
    words.add_tokens([IMAGE], special_tokens=True)
    config = MplugOwl2Config(
        vision_config=PATCHES | {"layer_norm_eps": 1e-6},
        text_config=TEXT | known,
        num_queries=5,
        abstractor_layers=3,
        abstractor_heads=2,
        abstractor_size=20,
        image_token_id=token_id(words, IMAGE),
    )
    return Member(config, words, CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE))
