"""Tiny models of all families, and what transformers itself makes of the same queries."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import PIL.Image
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.loading import load_family
from tests.mmedit_build.mllm.conftest import make_image
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]


class Specimen:
    """One checkpoint, loaded by the project and by transformers alone."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder
        self.family = load_family(folder, revision=None, device="cpu", dtype="float32", template="checkpoint")
        self.mllm = MLLM(self.family, name)
        self.hf: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)

    def inputs(self, query: Query, ids: tuple[int, ...], n_prompt: int) -> tuple[Any, dict[str, Any]]:
        """The model to call for one query, and all that it has to be told."""
        told: dict[str, Any] = {"input_ids": torch.tensor([ids])}
        told["attention_mask"] = torch.ones_like(told["input_ids"])
        if query.image is None and self.name.startswith(("blip-2", "instructblip")):
            return self.hf.language_model, told
        if query.image is not None:
            told |= self._pictures(query.image)
        told |= self._kinds(told["input_ids"], n_prompt)
        taken = inspect.signature(self.hf.forward).parameters
        return self.hf, {name: value for name, value in told.items() if name in taken}

    def _pictures(self, image: Any) -> dict[str, Any]:
        nested = self.name in {"idefics3", "smolvlm"}
        if self.name == "mplug_owl2":
            image = image.resize((max(image.size), max(image.size)))
        return dict(self.family.image_processor(images=[[image]] if nested else [image], return_tensors="pt"))

    def _kinds(self, ids: Tensor, n_prompt: int) -> dict[str, Tensor]:
        if self.name.startswith("paligemma"):
            return {"token_type_ids": (torch.arange(ids.shape[1]) >= n_prompt).long()[None]}
        shown = (ids == self.hf.config.image_token_id).long()
        return {"gemma3": {"token_type_ids": shown}}.get(self.name, {"mm_token_type_ids": shown})

    def _asked(self, query: Query) -> dict[str, Tensor]:
        """What the Q-Former of InstructBLIP reads."""
        if self.name != "instructblip" or query.image is None:
            return {}
        read = AutoTokenizer.from_pretrained(self.folder, subfolder="qformer_tokenizer")
        found = read([query.prompt], return_tensors="pt")
        return {f"qformer_{name}": found[name] for name in ("input_ids", "attention_mask")}

    def logits(self, query: Query) -> Tensor:
        """At all positions, by the plain forward of this query alone."""
        (row,) = self.mllm.rows([query])
        model, told = self.inputs(query, row.ids, row.prompt_length)
        found: Tensor = model(**told, **self._asked(query)).logits[0]
        return found

    def text(self, query: Query, new_tokens: int) -> str:
        """The greedy continuation by transformers' own generate."""
        (row,) = self.mllm.rows([query], targets=False)
        model, told = self.inputs(query, row.ids, row.prompt_length)
        options = {"max_new_tokens": new_tokens, "do_sample": False}
        stops = list(self.mllm.stop_ids)
        ids = model.generate(**told, **self._asked(query), eos_token_id=stops, **options)[0, row.length :]
        kept = [token for token in ids.tolist() if token not in stops]
        return str(self.mllm.tokenizer.decode(kept, skip_special_tokens=True)).strip()


Specimens = Callable[[str], Specimen]


@pytest.fixture(scope="session")
def specimens(zoo: Zoo) -> Specimens:
    """Checkpoints by name, each loaded once."""
    loaded: dict[str, Specimen] = {}

    def specimen(name: str) -> Specimen:
        if name not in loaded:
            loaded[name] = Specimen(name, zoo(name))
        return loaded[name]

    return specimen


def shown(seed: int, width: int, height: int) -> PIL.Image.Image:
    return make_image(seed).resize((width, height))


@pytest.fixture(scope="session")
def queries() -> list[Query]:
    """Rows of all sorts: pictures of two sizes, one of them twice, and rows without."""
    wide, tall = shown(1, 48, 16), shown(2, 20, 44)
    return [
        Query(wide, "what color is the cat?", "red"),
        Query(None, "who wrote the book?", "the small cat"),
        Query(tall, "how many boats are on the water in front of the house?", "two trees"),
        Query(wide, "a photo of", "house"),
        Query(None, "a", "tree"),
    ]
