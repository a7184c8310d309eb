"""The tiny OPT, and edits of it, that authors' own code was run on; see parity/rome.json."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import Blip2Config, Blip2ForConditionalGeneration, PreTrainedTokenizerFast

from editors.base import Edit
from editors.patches.weights import LowRankPatch
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.families.blip2 import Blip2
from mmedit_build.mllm.rendering import PLAIN

FOLDER = Path(__file__).parent / "parity"
GIVEN: dict[str, Any] = json.loads((FOLDER / "rome.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tiny() -> MLLM:
    """A BLIP-2 around the OPT that their code was run on."""
    towers = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = Blip2Config(
        vision_config=towers | {"image_size": 8, "patch_size": 8},
        qformer_config=towers | {"encoder_hidden_size": 8, "vocab_size": 8},
        text_config={"model_type": "opt", **GIVEN["config"]},
        num_query_tokens=2,
    )
    model = Blip2ForConditionalGeneration(config)
    model.requires_grad_(False).eval()
    for name, parameter in model.get_submodule("language_model").named_parameters():
        parameter.copy_(_filling(name, parameter))
    family = Blip2(model, _tokenizer(), None, PLAIN)
    return MLLM(family, "tiny")


def _filling(name: str, parameter: Tensor) -> Tensor:
    places = torch.arange(1, parameter.numel() + 1, dtype=torch.float64)
    numbers = (12.9898 * places + 78.233 * (zlib.crc32(name.encode()) % 1000)).sin() * 43758.5453
    base = 1.0 if "norm.weight" in name else 0.0
    found: Tensor = base + GIVEN["scale"] * (numbers - numbers.floor() - 0.5)
    return found.reshape(parameter.shape)


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(GIVEN["vocabulary"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    return [
        Edit(str(number), None, one["prompt"], one["target"], one["subject"])
        for number, one in enumerate(GIVEN["edits"])
    ]


def changes(patch: LowRankPatch) -> dict[int, Tensor]:
    """The change of each layer's down-projection."""
    name = "language_model.model.decoder.layers.{}.fc2.weight".format
    found = {layer: patch.factors.get(name(layer)) for layer in range(GIVEN["config"]["num_hidden_layers"])}
    return {layer: pair.left @ pair.right for layer, pair in found.items() if pair is not None}


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4
