"""The parts of an image generator of diffusers: which there are, whether they are sound, and loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, ModelMixin
from torch import nn

from mmedit_build.checkpoints.files import CONFIG, Files, find_files
from mmedit_build.checkpoints.tokenizers import check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole
from mmedit_build.errors import UserError

INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
LIBRARIES = {"diffusers": diffusers, "transformers": transformers}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the files of a generator tell of its parts."""

    files: Files
    revision: str | None
    kinds: dict[str, type]
    """The class of each part, by the name of its folder."""

    @property
    def networks(self) -> dict[str, Any]:
        """The parts that have weights."""
        return {name: kind for name, kind in self.kinds.items() if issubclass(kind, nn.Module)}

    def scheduler(self) -> Any:
        """The generator's own scheduler."""
        # Typed Any, as the classes of diffusers are not typed.
        kind: Any = self.kinds["scheduler"]
        return kind.from_config(self.files.object(SCHEDULER))

    def check(self) -> None:
        """Refuse what cannot be loaded, as far as that can be told without reading weights."""
        for name in self.networks:
            self.files.check_weights(name)
        if "_class_name" not in self.files.object(SCHEDULER):
            raise ValueError(f"its {SCHEDULER} names no scheduler")
        if "tokenizer" in self.kinds:
            self._check_tokenizer()

    def load(self, dtype: torch.dtype) -> tuple[str, dict[str, Any]]:
        """The folder of the generator, and its networks, each of them whole."""
        folder = self.files.name
        if not Path(folder).is_dir():
            folder = str(DiffusionPipeline.download(folder, revision=self.revision, use_safetensors=True))
        networks = {name: _network(folder, name, kind, dtype) for name, kind in self.networks.items()}
        if "tokenizer" in self.kinds and "text_encoder" in networks:
            check_fits(self.files.name, self._tokenizer(), networks["text_encoder"])
        return folder, networks

    def _tokenizer(self) -> Any:
        kind: Any = self.kinds["tokenizer"]
        return kind.from_pretrained(self.files.name, subfolder="tokenizer", revision=self.revision)

    def _check_tokenizer(self) -> None:
        """Refuse also one that does not know how much its text encoder reads, as is told beside its words."""
        name, tokenizer = self.files.name, self._tokenizer()
        check_tokenizer(name, tokenizer)
        if "text_encoder" not in self.kinds:
            return
        longest = self.files.object(f"text_encoder/{CONFIG}").get("max_position_embeddings")
        if isinstance(longest, int) and tokenizer.model_max_length > longest:
            raise UserError(
                f"The tokenizer of '{name}' allows texts of {tokenizer.model_max_length} tokens, and its "
                f"text encoder reads {longest}: copy tokenizer/tokenizer_config.json too."
            )


def find_parts(folder: str, revision: str | None) -> Parts:
    """The parts of a generator in a folder or on the Hub; from there only small files are taken."""
    files = find_files(folder, revision, parts=True)
    named = {name: value for name, value in files.object(INDEX).items() if _is_part(value)}
    return Parts(files, revision, {name: _kind(*value) for name, value in named.items()})


def _is_part(value: Any) -> bool:
    """Whether it names a library and a class; parts that a generator goes without are two nulls."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _kind(library: str, name: str) -> type:
    """A class of diffusers, of transformers, or of one of diffusers' families of pipelines."""
    module = LIBRARIES.get(library) or getattr(diffusers.pipelines, library, None)
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        raise ValueError(f"{INDEX} names {name} of {library}, which is not known here")
    return kind


def _network(folder: str, name: str, kind: Any, dtype: torch.dtype) -> Any:
    if issubclass(kind, ModelMixin):
        # Without low_cpu_mem_usage=False diffusers asks for accelerate, model by model.
        return load_whole(kind, folder, subfolder=name, torch_dtype=dtype, low_cpu_mem_usage=False)
    return load_whole(kind, folder, subfolder=name, dtype=dtype)
