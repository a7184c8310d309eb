"""Tiny models of every family, each with the tokenizer and image processor of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable

from tests.zoo import blips, gemmas, llavas, owls, qwens, strangers, tiles
from tests.zoo.common import Member

MEMBERS: dict[str, Callable[[], Member]] = {
    "blip-2 opt": blips.blip2_opt,
    "blip-2 llama": blips.blip2_llama,
    "instructblip": blips.instructblip,
    "llava": llavas.llava,
    "llava_next": llavas.llava_next,
    "llava_onevision": llavas.llava_onevision,
    "mplug_owl2": owls.mplug_owl2,
    "qwen_vl v1": qwens.qwen_vl_v1,
    "qwen2_vl": qwens.qwen2_vl,
    "qwen2_5_vl": qwens.qwen2_5_vl,
    "qwen3_vl": qwens.qwen3_vl,
    "internvl": tiles.internvl,
    "idefics3": tiles.idefics3,
    "smolvlm": tiles.smolvlm,
    "gemma3": gemmas.gemma3,
    "paligemma": gemmas.paligemma,
    "paligemma2": gemmas.paligemma2,
}
STRANGERS: dict[str, Callable[[], Member]] = {
    "mistral3": strangers.mistral3,
    "aya_vision": strangers.aya_vision,
}
"""Of types that have no file."""
