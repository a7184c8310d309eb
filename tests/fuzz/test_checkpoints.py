"""Checkpoints: small files of another shape, weights that are missing, no numbers, or pickles."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from mmedit_build import recipe
from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe import ImagineStage, Local, Similarity
from mmedit_build.services.chat import ChatRequest, prompt_messages
from mmedit_build.services.embedding import Embedder
from mmedit_build.services.images.painter import Painted, Painter, PaintJob
from mmedit_build.services.images.resemblance import Resemblance
from mmedit_build.services.local_chat import LocalChat
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import CONTENTS, content, damage_one, replaced
from tests.fuzz.engine import Case, LeakError, Reader
from tests.fuzz.trees import damage_json, edited

PICTURE = PIL.Image.new("RGB", (64, 64), "red")
SMALL = ("a list", "a mapping", "null", "broken UTF-8", "a huge number", "deep lists, closed")
"""What stands in the place of each small file; more would take minutes, as each time a model is loaded."""
RAN = "ran"
"""The file that a hostile pickle makes, if it is run."""


def read_mllm(folder: Path) -> None:
    MLLM.load(str(folder), device="cpu").generate([Query(PICTURE, "Question: what is it? Short answer:")])


def read_chat(folder: Path) -> None:
    chat = LocalChat.load(Local(model=str(folder), device="cpu"))
    messages = prompt_messages("rephrase", question="What color is the cat?")
    chat.ask([ChatRequest(messages, 1.0, 48, logprobs=True)])


def read_clip(folder: Path) -> None:
    Resemblance.open(recipe.Resemblance(model=str(folder), least=0.0), "cpu").text_image(["a cat"], [PICTURE])


def read_diffusion(folder: Path) -> None:
    model = Local(model=str(folder), device="cpu")
    painter = Painter.open(ImagineStage(model=model, steps=2, guidance=1.0, strategy="text-to-image"))
    painter.tokens_cut("a cat")
    (made,) = painter.paint([PaintJob("a cat", 1)])
    if not isinstance(made, Painted):
        raise UserError(made.reason)


def read_encoder(folder: Path) -> None:
    Embedder.load(Similarity(model=str(folder))).cosines([("what is the cat", "what is the boat")])


def _encoder(folder: Path) -> Path:
    """A sentence encoder with random weights."""
    words = ["[PAD]", "[UNK]", "what", "is", "the", "cat", "boat"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text(json.dumps({"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}))
    return folder


CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "miniature/mllm": read_mllm,
    "miniature/chat": read_chat,
    "miniature/clip": read_clip,
    "miniature/diffusion": read_diffusion,
    "encoder": read_encoder,
}
FOUND: dict[str, tuple[str, Callable[[Any], object]]] = {
    "miniature/mllm": ("generation_config.json", lambda tree: tree.update(eos_token_id=["x"])),
    "miniature/chat": ("generation_config.json", lambda tree: tree.update(bos_token_id="x")),
    "miniature/clip": ("processor_config.json", lambda tree: tree["image_processor"].update(size={"x": 1})),
    "miniature/diffusion": (
        "scheduler/scheduler_config.json",
        lambda tree: tree.update(prediction_type=".."),
    ),
}
"""What no file says, and is found out only when the model is used."""


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(name: str, tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    if name == "encoder":
        _encoder(seed)
    else:
        shutil.copytree(locate(name), seed)
    files = [str(path.relative_to(seed)) for path in sorted(seed.rglob("*")) if path.is_file()]
    small = [one for one in files if one.endswith(".json")]
    weights = [one for one in files if one.endswith(".safetensors")]
    picked = [case for one in small for case in _on_small(one)]
    picked += [case for one in weights for case in _on_weights(one)]

    if name in FOUND:
        file, edit = FOUND[name]
        picked.append(Case(f"{file} is found wrong in use", edited(file, edit), "refused"))

    def draw(rng: random.Random, folder: Path) -> str:
        return damage_one(folder, weights, rng) if rng.random() < 0.2 else damage_json(folder, small, rng)

    fuzz_one(Reader(seed, _unpickled(CHECKPOINTS[name]), picked, draw))


def _unpickled(read: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same, with a look whether a pickle was run."""

    def run(folder: Path) -> None:
        try:
            read(folder)
        finally:
            if (folder / RAN).exists():
                raise LeakError("a pickle was run")

    return run


def _on_small(name: str) -> list[Case]:
    told = [Case(f"{name} is {what}", content(name, CONTENTS[what])) for what in SMALL]
    return [*told, Case(f"{name} is missing", replaced(name, lambda _: None))]


def _on_weights(name: str) -> list[Case]:
    changes: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
        "lack one tensor": lambda tensors: tensors.pop(_largest(tensors)),
        "lack half of the tensors": lambda tensors: [tensors.pop(one) for one in sorted(tensors)[::2]],
        "are of no tensors": lambda tensors: tensors.clear(),
        "hold NaN": lambda tensors: tensors[_largest(tensors)].view(-1)[7:8].fill_(torch.nan),
        "are all NaN": lambda tensors: [
            one.fill_(torch.nan) for one in tensors.values() if one.is_floating_point()
        ],
        "hold Infinity": lambda tensors: tensors[_largest(tensors)].view(-1)[7:8].fill_(torch.inf),
        "have another shape": lambda tensors: tensors.update({_largest(tensors): torch.ones(3, 3)}),
    }
    cases = [
        Case(f"{name}: weights {what}", _edited(name, change), "refused") for what, change in changes.items()
    ]
    cases += [Case(f"{name}: weights are pickled", _pickled(name, honest=True), "refused")]
    cases += [Case(f"{name}: weights are a hostile pickle", _pickled(name, honest=False), "refused")]
    cases += [
        Case(f"{name} is {what}", content(name, CONTENTS[what]), "refused") for what in ("empty", "letters")
    ]
    return cases


def _largest(tensors: dict[str, torch.Tensor]) -> str:
    floats = [name for name, one in tensors.items() if one.is_floating_point()]
    return max(floats, key=lambda name: tensors[name].numel())


def _edited(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        tensors = load_file(folder / name)
        change(tensors)
        save_file(tensors, folder / name, {"format": "pt"})

    return run


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._path}",)


def _pickled(name: str, *, honest: bool) -> Callable[[Path], None]:
    """The same weights in the format of old, which may hold anything."""

    def run(folder: Path) -> None:
        tensors = load_file(folder / name)
        (folder / name).unlink()
        old = name.replace("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
        path = folder / old.replace("model.safetensors", "pytorch_model.bin")
        if honest:
            torch.save(tensors, path)
        else:
            path.write_bytes(pickle.dumps(Hostile(folder / RAN)))

    return run
