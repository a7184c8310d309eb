"""Tokenizers of the miniature: byte-level BPE learned from its own texts, where most words are one token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

IGNORED = -100
"""The label of a token that is not learned."""
Row = tuple[list[int], list[int]]
"""Token ids and labels."""


def byte_level_bpe(texts: Iterable[str], size: int, special: list[str], begin: str | None) -> Tokenizer:
    """A tokenizer like GPT-2's and OPT's; `begin`, if there is one, is put before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if begin is None:
        return tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A",
        pair=f"{begin} $A {begin} $B",
        special_tokens=[(begin, tokenizer.token_to_id(begin))],
    )
    return tokenizer


def labelled(tokenizer: Tokenizer, pieces: Sequence[str]) -> Row:
    """Pieces of which every other one is a target; split apart, so that no border depends on a target."""
    ids: list[int] = []
    labels: list[int] = []
    for index, piece in enumerate(tokenizer.encode_batch(list(pieces), add_special_tokens=False)):
        ids += piece.ids
        labels += piece.ids if index % 2 else [IGNORED] * len(piece.ids)
    return ids, labels


def padded(rows: Sequence[Row], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and labels, padded on the right."""
    longest = max(len(ids) for ids, _ in rows)
    ids = [row + [pad] * (longest - len(row)) for row, _ in rows]
    labels = [row + [IGNORED] * (longest - len(row)) for _, row in rows]
    return torch.tensor(ids, device=device), torch.tensor(labels, device=device)
