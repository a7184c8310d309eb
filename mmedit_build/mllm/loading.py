"""From a name to a loaded family, with the user's mistakes told in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.processing_utils import ProcessorMixin

from mmedit_build.checkpoints.files import CONFIG, Files, find_files
from mmedit_build.checkpoints.tokenizers import check_ends, check_fits, check_words
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.errors import UserError, check_name
from mmedit_build.mllm.families import CONVERTED, known_families
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.generic import Generic
from mmedit_build.mllm.families.own import register
from mmedit_build.mllm.rendering import NAMED, parse_template
from mmedit_build.mllm.spreading import ALL, SPREAD, check_resident, check_spread
from mmedit_build.plugins import load

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MODEL = "a model"


def load_family(
    name: str,
    *,
    revision: str | None,
    device: str,
    dtype: str,
    template: str,
    image_processor: Mapping[str, Any] | None = None,
) -> Family:
    """Load a checkpoint folder or Hub id, frozen and in eval mode, on its device or over all of them."""
    kind = look_at(name, revision=revision, device=device, dtype=dtype, template=template)
    place, revision = main_device(device), revision or "main"
    spread: dict[str, Any] = SPREAD if device == ALL else {}
    with told(MODEL, name, _remedy(name)):
        model = load_whole(
            AutoModelForImageTextToText,
            name,
            revision=revision,
            dtype=find_dtype(dtype, place),
            **spread,
        )
        if spread:
            check_resident(name, model)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        # Processors look for it in more places.
        fields, _ = ProcessorMixin.get_processor_dict(name, revision=revision)
        tokenizer.chat_template = fields.get("chat_template") or tokenizer.chat_template
        processor = load_image_processor(name, revision, image_processor or {})
        check_words(name, tokenizer)
        check_fits(name, tokenizer, model)
        family = kind(model, tokenizer, processor, template)
        check_ends(name, model)
        family.complete(name, revision)
    model.requires_grad_(False)
    model.train(False)
    if not spread:
        model.to(place)
    return family


def look_at(name: str, *, revision: str | None, device: str, dtype: str, template: str) -> type[Family]:
    """The family of a checkpoint, refused if its files or the settings do not allow to load it."""
    find_dtype(dtype, main_device(device))
    if template not in NAMED:
        parse_template(template)
    with told(MODEL, name, _remedy(name)):
        files = find_files(name, revision)
        family = _family_class(name, _model_type(files))
        files.check_weights()
    if family.own_model is not None:
        register(family.own_model)
    return family


def load_image_processor(name: str, revision: str, settings: Mapping[str, Any]) -> Any:
    """The checkpoint's, with some settings of ours."""
    # With Pillow everywhere: other ways to resize an image give other numbers.
    processor = AutoImageProcessor.from_pretrained(name, revision=revision, backend="pil")
    known = processor.to_dict()
    for setting in settings:
        check_name("setting of this image processor", setting, known)
    # Not by loading it with them: `min_pixels` in a checkpoint's file would be taken before a `size` of ours.
    return type(processor).from_dict({**known, **settings}) if settings else processor


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of that name; "auto" is bfloat16 on CUDA and float32 elsewhere."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise UserError(f"There is no dtype '{name}': use one of auto, {', '.join(DTYPES)}.")
    return DTYPES[name]


def model_kind(name: str, revision: str | None) -> str:
    """What a checkpoint is, whether supported or not."""
    with told(MODEL, name, _remedy(name)):
        files = find_files(name, revision)
        _model_type(files)
        return kind_of(files.object(CONFIG))


def kind_of(config: Mapping[str, Any]) -> str:
    """The `model_type` of a model with that of its language model, where other models have the latter too.

    blip-2-opt and llava-llama, but qwen2_5_vl.
    """
    kind, language = str(config["model_type"]), config.get("text_config")
    inner = language.get("model_type") if isinstance(language, Mapping) else None
    return f"{kind}-{inner}" if isinstance(inner, str) and not inner.startswith(kind) else kind


def main_device(name: str) -> torch.device:
    """Where a model of that device begins, which may be `all` of them."""
    if name != ALL:
        return find_device(name)
    check_spread()
    return find_device("cuda")


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


def _model_type(files: Files) -> str:
    kind = files.object(CONFIG).get("model_type")
    if not isinstance(kind, str):
        raise ValueError(f"its {CONFIG} names no model_type")
    return kind


def _family_class(name: str, kind: str) -> type[Family]:
    known = known_families()
    if kind not in known:
        if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return Generic
        if kind in CONVERTED:
            raise UserError(
                f"'{name}' holds a model of type '{kind}', whose authors' code is not run: write an ordinary "
                f"checkpoint of it with 'mmedit-build convert {CONVERTED[kind]}'."
            )
        raise UserError(
            f"'{name}' holds a model of type '{kind}', which the installed transformers does not know as one "
            f"for images and text: known for sure are {', '.join(sorted(known))}."
        )
    return cast("type[Family]", load(known[kind]))


def _remedy(name: str) -> str:
    if Path(name).is_dir():
        return "give a folder written by save_pretrained (with safetensors), copied whole"
    return (
        "give a folder written by save_pretrained, or the id of a model on the Hub; "
        "an id needs a connection, or the model downloaded before"
    )
