"""Queries as rows of token ids, and rows as padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from mmedit_build.errors import UserError
from mmedit_build.mllm.query import Query

SHOWN = 60
"""How many letters of a query an error quotes."""


@dataclass(frozen=True, slots=True)
class Row:
    """The positions of one query: `n_image` of the image, then the prompt (with BOS), then the target."""

    n_image: int
    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]

    @property
    def prompt_length(self) -> int:
        """Positions before the target."""
        return self.n_image + len(self.prompt_ids)

    @property
    def length(self) -> int:
        return self.prompt_length + len(self.target_ids)


def make_rows(
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[Query],
    image_length: int,
    *,
    targets: bool,
    bos: bool = True,
) -> list[Row]:
    """Tokenize queries; without `targets` the rows end with the prompt, without `bos` nothing begins them."""
    if not queries:
        return []
    # Prompt and target are tokenized apart and joined: tokenized together, the border could fall inside a
    # token, and what precedes the target would depend on the target.
    prompts = tokenizer([query.prompt for query in queries], add_special_tokens=bos)["input_ids"]
    answers = [_spaced(query.target) if targets else "" for query in queries]
    endings = tokenizer(answers, add_special_tokens=False)["input_ids"]
    rows = [
        Row(0 if query.image is None else image_length, tuple(prompt), tuple(ending))
        for query, prompt, ending in zip(queries, prompts, endings, strict=True)
    ]
    if any(row.prompt_length == 0 for row in rows):
        raise UserError("A query has neither image nor prompt: give it at least one of the two.")
    return rows


def _spaced(target: str) -> str:
    return target if not target or target[0].isspace() else " " + target


def check_lengths(lengths: Sequence[int], prompts: Sequence[str], new_tokens: int, limit: int) -> None:
    """Refuse rows that would run past the last position the model has."""
    for length, prompt in zip(lengths, prompts, strict=True):
        if length + new_tokens > limit:
            wish = f" with {new_tokens} new tokens" if new_tokens else ""
            raise UserError(
                f"The query {shorten(prompt, SHOWN)!r}{wish} takes {length + new_tokens} positions but the "
                f"model has {limit}: shorten it."
            )


def batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices of the rows in batches of similar length, longest first: memory runs out at once or never."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack rows (L_i, ...) as (B, T, ...), aligned at their ends, and say which cells (B, T) are real."""
    stacked = pad_sequence(list(rows), batch_first=True, padding_side="left")
    width = stacked.shape[1]
    starts = torch.tensor([width - len(row) for row in rows], device=stacked.device)
    return stacked, torch.arange(width, device=stacked.device) >= starts[:, None]
