"""From a name to a loaded family, with the user's mistakes told in one sentence."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.processing_utils import ProcessorMixin

from mmedit_build.errors import UserError
from mmedit_build.mllm.families import FAMILIES
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.generic import Generic

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
UNLOADABLE = (OSError, SafetensorError, ValueError, KeyError, RuntimeError)
"""What transformers raises on files that are missing, broken, or do not fit each other."""


def load_family(name: str, *, revision: str | None, device: str, dtype: str, template: str) -> Family:
    """Load a checkpoint folder or Hub id, frozen and in eval mode, on its device."""
    place = find_device(device)
    revision = revision or "main"
    precision = find_dtype(dtype, place)
    family_class = _family_class(name, revision)
    try:
        family = _loaded(family_class, name, revision, precision, template)
    except UNLOADABLE as error:
        raise _no_model(name, str(error)) from error
    family.model.requires_grad_(False)
    family.model.train(False)
    family.model.to(place)  # type: ignore[arg-type]  # the stub of `to` lacks this overload
    return family


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of that name; "auto" is bfloat16 on CUDA and float32 elsewhere."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise UserError(f"There is no dtype '{name}': use one of auto, {', '.join(DTYPES)}.")
    return DTYPES[name]


def _loaded(
    family_class: type[Family], name: str, revision: str, dtype: torch.dtype, template: str
) -> Family:
    # Typed Any, as from_pretrained is not typed to return a report too.
    found: Any = AutoModelForImageTextToText.from_pretrained(
        name, revision=revision, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    model, report = found
    if missing := sorted(report["missing_keys"]):
        # Transformers fills the gaps with random numbers, and the model would answer nonsense.
        raise UserError(
            f"The weights of '{name}' lack {len(missing)} tensors that its config.json asks for, "
            f"such as {missing[0]}: give a complete checkpoint."
        )
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    # Processors look for it in more places.
    fields, _ = ProcessorMixin.get_processor_dict(name, revision=revision)
    tokenizer.chat_template = fields.get("chat_template") or tokenizer.chat_template
    # With Pillow everywhere: other ways to resize an image give other numbers.
    processor = AutoImageProcessor.from_pretrained(name, revision=revision, backend="pil")
    family = family_class(model, tokenizer, processor, template)
    family.complete(name, revision)
    return family


def model_type(name: str, revision: str | None) -> str:
    """The `model_type` of a checkpoint, whether supported or not."""
    try:
        config, _ = PretrainedConfig.get_config_dict(name, revision=revision or "main")
    except UNLOADABLE as error:
        raise _no_model(name, str(error)) from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise _no_model(name, "no config.json in it names a model_type")
    return kind


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" takes the best there is."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    kind, _, index = name.partition(":")
    if not there.get(kind, False) or (kind != name and not _has(kind, index)):
        usable = ", ".join(kind for kind, ok in there.items() if ok)
        raise UserError(f"Device '{name}' is not available here: use auto or {usable}.")
    return torch.device(name)


def _has(kind: str, index: str) -> bool:
    """Whether there is a device of that kind and number."""
    number = torch.cuda.device_count() if kind == "cuda" else 1
    return index.isdecimal() and int(index) < number


def _family_class(name: str, revision: str) -> type[Family]:
    kind = model_type(name, revision)
    if kind not in FAMILIES:
        if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return Generic
        raise UserError(
            f"'{name}' holds a model of type '{kind}', which the installed transformers does not know as one "
            f"for images and text: known for sure are {', '.join(sorted(FAMILIES))}."
        )
    module, _, attribute = FAMILIES[kind].partition(":")
    return cast("type[Family]", getattr(importlib.import_module(module), attribute))


def _no_model(name: str, reason: str) -> UserError:
    reason = reason.strip().partition("\n")[0].rstrip(".:")
    if not Path(name).exists() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        # The Hub would be said to dislike the id, which it is not.
        reason = "there is no such folder"
    if Path(name).is_dir():
        remedy = "give a folder written by save_pretrained (with safetensors), copied whole"
    else:
        remedy = (
            "give a folder written by save_pretrained, or the id of a model on the Hub; "
            "an id needs a connection, or the model downloaded before"
        )
    return UserError(f"Cannot load a model from '{name}' ({reason}): {remedy}.")
