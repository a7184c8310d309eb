"""What decides about a model's answers besides its weights: part of the names of all that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mmedit_build.mllm.families.base import Family

ELSEWHERE = frozenset(
    {
        *("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"),
        *("_attn_implementation_autoset", "_commit_hash", "processor_class", "image_processor_type"),
    }
)
"""Fields of configs that say where a checkpoint lies, who wrote it, or what the weights themselves tell."""


def identity(family: Family) -> dict[str, object]:
    """Config, tokenizer, image processor, templates and the version of the family's code."""
    model: Any = family.model
    processor = family.image_processor
    return {
        "family": [type(family).__name__, family.version],
        # What differs from the defaults: other releases of transformers have more fields.
        "config": _pruned(model.config.to_diff_dict()),
        "attention": model.config._attn_implementation,
        "stops": None if model.generation_config is None else model.generation_config.eos_token_id,
        "tokenizers": [
            _tokenizer(one) for one in (family.tokenizer, family.prompt_tokenizer) if one is not None
        ],
        "images": None if processor is None else [type(processor).__name__, _pruned(processor.to_dict())],
        "settings": dict(family.settings),
        "templates": {form: asdict(one) for form, one in family.all_templates.items()},
        "question": family.question_template,
    }


def _tokenizer(tokenizer: Any) -> dict[str, Any]:
    """What splits texts; how it pads and cuts them is set anew by each call."""
    fields: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: value for name, value in fields.items() if name not in ("padding", "truncation")}


def _pruned(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _pruned(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
        if name not in ELSEWHERE
    }
