"""A BLIP-2 of the real class with random weights, six OPT layers of width 32, saved and loaded back."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mmedit_build.mllm import MLLM, Query

QUERY_TOKENS = 5
IMAGE_SIDE = 16
CORPUS = [
    "Question: what color is the cat? Answer: red",
    "Question: how many boats are on the water? Answer: two",
    "a photo of a small house in front of a tree, who wrote the book\n\n",
]


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    # As OPT does: "</s>" begins every text, and nothing ends it.
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    names = {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def make_config(tokenizer: Any) -> Blip2Config:
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"][0]
    towers: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    towers["intermediate_size"] = 48
    return Blip2Config(
        vision_config=towers | {"image_size": IMAGE_SIDE, "patch_size": 8},
        qformer_config=towers | {"encoder_hidden_size": 24, "vocab_size": 8},
        text_config={
            "model_type": "opt",
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 64,
            "bos_token_id": 2,
            "pad_token_id": 1,
            "eos_token_id": newline,
        },
        num_query_tokens=QUERY_TOKENS,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """On matrices this small, threads cost more than they bring, and on a busy machine very much more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = make_tokenizer()
    side = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
    processor = Blip2Processor(BlipImageProcessorPil(size=side), tokenizer, num_query_tokens=QUERY_TOKENS)
    torch.manual_seed(0)
    model = Blip2ForConditionalGeneration(make_config(tokenizer))
    with torch.no_grad():
        # Every parameter random: fresh models have zero biases and nearly flat logits, which hide mistakes.
        for name, parameter in model.named_parameters():
            # Larger ones where the image passes, so that mixing images up changes every answer.
            scale = 0.15 if name.startswith("language_model.") else 0.4
            parameter.add_(scale * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("blip2")
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return str(path)


@pytest.fixture
def mllm(folder: str) -> MLLM:
    return MLLM.load(folder, device="cpu")


@pytest.fixture(scope="session")
def hf(folder: str) -> Blip2ForConditionalGeneration:
    """The same checkpoint, loaded by transformers alone."""
    return Blip2ForConditionalGeneration.from_pretrained(folder)


def make_image(seed: int) -> PIL.Image.Image:
    """One of six colors, with noise."""
    color = 150 * torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]])[seed % 6]
    noise = torch.randint(0, 100, (20, 28, 3), generator=torch.Generator().manual_seed(seed))
    return PIL.Image.fromarray((color + noise).to(torch.uint8).numpy())


def as_png(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def pictures() -> list[PIL.Image.Image]:
    return [make_image(seed) for seed in range(3)]


@pytest.fixture
def mixture(pictures: list[PIL.Image.Image], tmp_path: Path) -> list[Query]:
    """With image and without, images in all three forms, rows of 4 to some 40 positions."""
    file = tmp_path / "picture.png"
    pictures[2].save(file)
    return [
        Query(pictures[0], "Question: what color is the cat? Answer:", "red"),
        Query(None, "who wrote the book?", "the small cat"),
        Query(as_png(pictures[1]), "a photo of", "a boat"),
        Query(None, "a", "tree"),
        Query(file, "Question: how many boats are on the water in front of the house? Answer:", "two trees"),
        Query(pictures[0], "", "house"),
    ]


Plain = Callable[[Query], tuple[dict[str, Tensor], list[int]]]


@pytest.fixture(scope="session")
def plain_inputs(folder: str) -> Plain:
    """What transformers' own processor makes of a query, and the ids of its target."""
    processor: Any = Blip2Processor.from_pretrained(folder)

    def inputs(query: Query) -> tuple[dict[str, Tensor], list[int]]:
        image = query.image
        if isinstance(image, bytes):
            image = PIL.Image.open(io.BytesIO(image))
        elif isinstance(image, Path):
            image = PIL.Image.open(image)
        encoded = processor(images=image, text=query.prompt, return_tensors="pt")
        target = f" {query.target}" if query.target else ""
        return dict(encoded), processor.tokenizer(target, add_special_tokens=False)["input_ids"]

    return inputs


@pytest.fixture(scope="session")
def plain_logits(hf: Blip2ForConditionalGeneration, plain_inputs: Plain) -> Callable[[Query], Tensor]:
    """Logits at all positions by transformers' plain forward of one query."""

    def logits(query: Query) -> Tensor:
        inputs, target = plain_inputs(query)
        ids = torch.cat([inputs["input_ids"], torch.tensor([target], dtype=torch.long)], dim=1)
        rest: dict[str, Any] = {"attention_mask": torch.ones_like(ids)}
        model: Any = hf.language_model
        if "pixel_values" in inputs:
            model, rest["pixel_values"] = hf, inputs["pixel_values"]
        found: Tensor = model(input_ids=ids, **rest).logits[0]
        return found

    return logits


@pytest.fixture(scope="session")
def plain_text(
    folder: str, hf: Blip2ForConditionalGeneration, plain_inputs: Plain
) -> Callable[[Query, int, list[int]], str]:
    """The greedy continuation by transformers' own generate, one query at a time."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)

    def text(query: Query, new_tokens: int, stops: list[int]) -> str:
        inputs, _ = plain_inputs(query)
        model: Any = hf if "pixel_values" in inputs else hf.language_model
        options = {"max_new_tokens": new_tokens, "do_sample": False, "eos_token_id": stops or None}
        ids = model.generate(**inputs, **options)[0, inputs["input_ids"].shape[1] :]
        kept = [token for token in ids.tolist() if token not in stops]
        return str(tokenizer.decode(kept, skip_special_tokens=True)).strip()

    return text
