"""Every way to a checkpoint, each with a sound one to be spoiled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from mmedit_build import recipe
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM
from mmedit_build.recipe import ImagineStage, Local, Similarity
from mmedit_build.services.embedding import Embedder
from mmedit_build.services.images.painter import Painter
from mmedit_build.services.images.resemblance import Resemblance
from mmedit_build.services.local_chat import LocalChat


@dataclass(frozen=True, slots=True)
class Way:
    """A copy of a checkpoint, and what loads it."""

    folder: Path
    load: Callable[[str], object]
    part: str = ""
    """The folder in it whose weights are spoiled."""

    @property
    def weights(self) -> Path:
        (path,) = (self.folder / self.part).glob("*model.safetensors")
        return path

    def open(self) -> object:
        return self.load(str(self.folder))


LOADS: dict[str, Callable[[str], object]] = {
    "mllm": lambda name: MLLM.load(name, device="cpu"),
    "chat": lambda name: LocalChat.load(Local(model=name, device="cpu")),
    "encoder": lambda name: Embedder.load(Similarity(model=name)),
    "clip": lambda name: Resemblance.open(recipe.Resemblance(model=name, least=0.0), "cpu"),
    "diffusion": lambda name: Painter.open(ImagineStage(model=Local(model=name, device="cpu"))),
}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text encoder without its pooler, as many on the Hub are."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(locate("miniature/clip"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(params=LOADS)
def way(request: pytest.FixtureRequest, tmp_path: Path, encoder: Path) -> Way:
    name = request.param
    source = encoder if name == "encoder" else Path(locate(f"miniature/{name}"))
    shutil.copytree(source, tmp_path / name)
    return Way(tmp_path / name, LOADS[name], "unet" if name == "diffusion" else "")
