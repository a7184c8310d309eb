"""One file per model family; `base.Family` says what such a file has to provide."""

from __future__ import annotations

from mmedit_build.plugins import with_added

FAMILIES = {
    "blip-2": "mmedit_build.mllm.families.blip2:Blip2",
    "gemma3": "mmedit_build.mllm.families.gemma3:Gemma3",
    "idefics3": "mmedit_build.mllm.families.idefics3:Idefics3",
    "instructblip": "mmedit_build.mllm.families.instructblip:InstructBlip",
    "internvl": "mmedit_build.mllm.families.internvl:InternVL",
    "llava": "mmedit_build.mllm.families.llava:Llava",
    "llava_next": "mmedit_build.mllm.families.llava:LlavaNext",
    "llava_onevision": "mmedit_build.mllm.families.llava:LlavaOnevision",
    "mmedit_mplug_owl2": "mmedit_build.mllm.families.mplug_owl2:MplugOwl2Family",
    "mmedit_qwen_vl": "mmedit_build.mllm.families.qwen_vl_v1:QwenVLV1",
    "paligemma": "mmedit_build.mllm.families.paligemma:PaliGemma",
    "qwen2_5_vl": "mmedit_build.mllm.families.qwen_vl:Qwen25VL",
    "qwen2_vl": "mmedit_build.mllm.families.qwen_vl:Qwen2VL",
    "qwen3_vl": "mmedit_build.mllm.families.qwen_vl:Qwen3VL",
    "smolvlm": "mmedit_build.mllm.families.idefics3:Idefics3",
}
"""`model_type` of a checkpoint's config.json to the class that knows it, imported when it is needed."""
CONVERTED = {
    "mplug_owl2": "mplug-owl2",
    "qwen": "qwen-vl",
}
"""`model_type` of checkpoints that need their authors' code, to what `mmedit-build convert` calls them."""


def known_families() -> dict[str, str]:
    """Ours, and those that installed packages add (see `mmedit_build.plugins`)."""
    return with_added("families", FAMILIES)
