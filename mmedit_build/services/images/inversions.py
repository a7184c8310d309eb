"""Textual inversions: words that a text encoder is taught, with mistakes told before anything is painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mmedit_build.errors import UserError, first_line
from mmedit_build.recipe import ImagineStage, Inversion

SAFE = ".safetensors"


def check_tokens(config: ImagineStage) -> None:
    """Refuse words that stand in no prompt."""
    prompts = f"{config.positive} {config.negative or ''}"
    for inversion in config.inversions:
        if inversion.token not in prompts:
            raise UserError(
                f"The textual inversion {inversion.token!r} stands in no prompt, where alone it acts: write "
                "it into imagine.positive or imagine.negative, or leave it out."
            )


def teach(pipeline: Any, inversion: Inversion, config: ImagineStage) -> None:
    """Load one textual inversion, and see that it acts in the prompts."""
    embedding = _embedding(inversion)
    _check_fits(pipeline, inversion, embedding, config.model.model)
    before = len(pipeline.tokenizer)
    pipeline.load_textual_inversion({inversion.token: embedding}, token=inversion.token)
    learned = set(range(before, len(pipeline.tokenizer)))
    prompts = [config.positive, config.negative or ""]
    read = {
        number
        for prompt in pipeline.maybe_convert_prompt(prompts, pipeline.tokenizer)
        for number in pipeline.tokenizer(prompt, verbose=False).input_ids
    }
    if not learned <= read:
        # Tokenizers that lower their text do not find the further vectors of a word with capitals.
        raise UserError(
            f"The text encoder does not read the textual inversion {inversion.token!r} in the prompts as it "
            "was meant: name it in lower case, in imagine.inversions and in the prompts alike."
        )


def _check_fits(pipeline: Any, inversion: Inversion, embedding: Tensor, model: str) -> None:
    if not hasattr(pipeline, "load_textual_inversion"):
        raise UserError(
            f"The image generator '{model}' takes no textual inversions: leave imagine.inversions out."
        )
    if len(pipeline.tokenizer.tokenize(inversion.token)) == 1:
        # Every caption with this word would be read otherwise.
        raise UserError(
            f"The text encoder of '{model}' already knows the word {inversion.token!r}: name the textual "
            "inversion by a word of its own."
        )
    width = pipeline.text_encoder.get_input_embeddings().weight.shape[-1]
    if embedding.shape[-1] != width:
        raise UserError(
            f"The textual inversion {inversion.token!r} is {embedding.shape[-1]} wide, but the text encoder "
            f"of '{model}' takes {width}: use one that was made for this generator (768 belongs to Stable "
            "Diffusion 1, 1024 to 2)."
        )


def _embedding(inversion: Inversion) -> Tensor:
    """The one tensor of the file: one row for each vector of the word."""
    path = find_inversion(inversion)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"Cannot read the textual inversion {path} ({first_line(error)}): give a complete {SAFE} file."
        ) from error
    if len(tensors) != 1:
        raise UserError(
            f"The textual inversion {path} holds {len(tensors)} tensors ({', '.join(sorted(tensors)[:4])}): "
            "give one that was made for a single text encoder."
        )
    (embedding,) = tensors.values()
    return embedding


def find_inversion(inversion: Inversion) -> Path:
    """The file of a textual inversion."""
    if not inversion.file.endswith(SAFE):
        raise UserError(
            f"The textual inversion {inversion.file} is no {SAFE} file, and other formats can run code when "
            "they are opened: give one as safetensors."
        )
    if Path(inversion.repository).is_dir():
        path = Path(inversion.repository) / inversion.file
        if not path.is_file():
            raise UserError(
                f"There is no {inversion.file} in {inversion.repository}: check imagine.inversions."
            )
        return path
    try:
        return Path(hf_hub_download(inversion.repository, inversion.file))
    except (EntryNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"Cannot get the textual inversion {inversion.file} of '{inversion.repository}' "
            f"({first_line(error)}): give a folder, or an id on the Hub (which needs a connection, or "
            "the file downloaded before)."
        ) from error
