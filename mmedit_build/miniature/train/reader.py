"""A text tower that understands captions, for CLIP and for the image generator.

Contrastive training alone leaves it loose which color belongs to which thing. So the tower first learns to
read: at the last word of each mention to tell its color, size and number, and at the end all that is there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from mmedit_build.miniature.captions import describe, mentions, place
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, KINDS, sample_scene

READER = Stage("reader", steps=1200, rate=1e-3, batch=64)
WIDTH = 128
LENGTH = 32
"""Tokens of a padded caption; the longest of our own has 28."""
SIZES = ("small", "big")
MENTION_PARTS = (len(COLORS) + 1, len(SIZES) + 1, 4)
"""Sizes of the classifications of a mention: color or none, size or none, number."""
PLACES = len(BACKGROUNDS) + 1


def build_tokenizer() -> CLIPTokenizer:
    """CLIP's own tokenizer class with a vocabulary learned from captions."""
    rng = random.Random(0)
    begin, end = "<|startoftext|>", "<|endoftext|>"
    core = CLIPTokenizer(vocab={begin: 0, end: 1}, merges=[]).backend_tokenizer
    trainer = BpeTrainer(
        vocab_size=640,
        special_tokens=[begin, end],
        initial_alphabet=ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    core.train_from_iterator((describe(sample_scene(rng), rng) for _ in range(5000)), trainer)
    learned = json.loads(core.to_str())["model"]
    merges: Any = [tuple(merge) for merge in learned["merges"]]
    return CLIPTokenizer(vocab=learned["vocab"], merges=merges, model_max_length=LENGTH)


def caption_tokenizer(work: Path) -> CLIPTokenizer:
    """The tokenizer of a run, built once: its trainer numbers single letters differently each time."""
    folder = work / "caption-tokenizer"
    if not folder.exists():
        temporary = work / "caption-tokenizer.tmp"
        build_tokenizer().save_pretrained(temporary)
        temporary.replace(folder)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer


def build_text_tower(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


class Reader(nn.Module):
    """A text tower with classifiers for mentions and for whole captions."""

    def __init__(self, tower: CLIPTextModel) -> None:
        super().__init__()
        self.tower = tower
        self.mention = nn.Linear(WIDTH, sum(MENTION_PARTS))
        self.things = nn.Linear(WIDTH, len(KINDS) * MENTION_PARTS[0])
        self.place = nn.Linear(WIDTH, PLACES)


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str], device: torch.device) -> torch.Tensor:
    """Padded token ids of captions."""
    ids: torch.Tensor = tokenizer(list(captions), padding="max_length", return_tensors="pt").input_ids
    return ids.to(device)


def train_reader(tokenizer: CLIPTokenizer, run: Run) -> CLIPTextModel:
    """A text tower that has learned to read captions."""
    torch.manual_seed(0)
    reader = Reader(build_text_tower(tokenizer)).to(run.device)

    def loss(step: int) -> torch.Tensor:
        rng = READER.random(step)
        captions = [describe(sample_scene(rng), rng) for _ in range(READER.batch)]
        return _reading_loss(reader, tokenizer, captions, run.device)

    fit(READER, reader, loss, run)
    return reader.tower


def _reading_loss(
    reader: Reader, tokenizer: CLIPTokenizer, captions: list[str], device: torch.device
) -> torch.Tensor:
    encoded = tokenizer(captions, padding="max_length", return_offsets_mapping=True)
    output = reader.tower(input_ids=torch.tensor(encoded.input_ids, device=device))
    rows, columns, labels = [], [], []
    things = torch.zeros(len(captions), len(KINDS), MENTION_PARTS[0])
    for row, (caption, offsets) in enumerate(zip(captions, encoded.offset_mapping, strict=True)):
        last = {end: index for index, (_, end) in enumerate(offsets) if end}
        for mention in mentions(caption):
            color = COLORS.index(mention.color) + 1 if mention.color else 0
            size = SIZES.index(mention.size) + 1 if mention.size else 0
            rows.append(row)
            columns.append(last[mention.end])
            labels.append((color, size, mention.number - 1))
            things[row, KINDS.index(mention.kind), color] = 1
    parts = reader.mention(output.last_hidden_state[rows, columns]).split(MENTION_PARTS, dim=-1)
    targets = torch.tensor(labels, device=device).unbind(dim=1)
    loss = sum(
        (F.cross_entropy(*pair) for pair in zip(parts, targets, strict=True)), torch.zeros((), device=device)
    )
    pooled = output.pooler_output
    loss = loss + 10 * F.binary_cross_entropy_with_logits(reader.things(pooled), things.flatten(1).to(device))
    return loss + F.cross_entropy(reader.place(pooled), _places(captions).to(device))


def _places(captions: list[str]) -> torch.Tensor:
    names = [place(caption) for caption in captions]
    return torch.tensor([BACKGROUNDS.index(name) + 1 if name else 0 for name in names])
