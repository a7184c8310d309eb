"""Texts as a chat model reads them: in turns, or running on; its tokens and its chat template."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from transformers import PreTrainedTokenizerFast

from mmedit_build.miniature.train.texts import Text, corpus
from mmedit_build.miniature.train.tokens import Row, byte_level_bpe, labelled, padded

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE, VIDEO = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SPECIAL = [PAD, START, END, VISION_START, VISION_END, IMAGE, VIDEO]
USER, ASSISTANT = f"{START}user\n", f"{END}\n{START}assistant\n"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    f"{VISION_START}{IMAGE}{VISION_END}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = 2048
RUNNING, SHOWN = 0.35, 0.2
"""Of texts without an image, how many run on without turns, and how many come after others in one turn."""
MOST_SHOWN = 4


def build_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """Tokens for texts that ask by the template."""
    names = ["user\n", "assistant\n"] * 4000
    core = byte_level_bpe([*corpus(template), *names], WORDS, SPECIAL, None)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=PAD, padding_side="left", chat_template=CHAT
    )


class Turns:
    """Texts to token ids and labels; only targets have labels."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, image_tokens: int) -> None:
        self.core = tokenizer.backend_tokenizer
        self.pad = SPECIAL.index(PAD)
        self.image = f"{VISION_START}{IMAGE * image_tokens}{VISION_END}"

    def beside_image(self, text: Text, rng: random.Random) -> Row:
        """A row that begins with an image; seldom without turns."""
        return self.encode(running(text, self.image) if rng.random() < 0.1 else turns(text, self.image))

    def packed(self, draw: Callable[[], Text], length: int, rng: random.Random) -> Row:
        """A row of as many texts as fit, the last of them cut off."""
        ids: list[int] = []
        labels: list[int] = []
        while len(ids) < length:
            more, learned = self.encode(dressed(draw, rng))
            ids, labels = ids + more, labels + learned
        return ids[:length], labels[:length]

    def encode(self, pieces: list[str]) -> Row:
        """Every other piece is a target. Prompts and targets are split apart, as when they are scored."""
        return labelled(self.core, pieces)

    def tensors(self, rows: list[Row], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and labels, padded on the right."""
        return padded(rows, self.pad, device)


def dressed(draw: Callable[[], Text], rng: random.Random) -> list[str]:
    """A text in turns, without turns, or as the last of several in one turn, as demonstrations are shown."""
    kind = rng.random()
    if kind < RUNNING:
        return running(draw(), "")
    shown = [draw() for _ in range(rng.randint(1, MOST_SHOWN))] if kind < RUNNING + SHOWN else []
    return turns(after(shown, draw()), "")


def after(shown: list[Text], text: Text) -> Text:
    """A text whose first turn shows other texts, answered."""
    ahead = [(f"{prompt} {target}\n\n" if target else prompt, "") for one in shown for prompt, target in one]
    return [*ahead, *text]


def turns(text: Text, image: str) -> list[str]:
    """Prompts and targets in turn. What has no target belongs to the turn of what follows."""
    pieces: list[str] = []
    said = image
    for prompt, target in text:
        said += prompt
        if target:
            begun = "\n" if pieces else ""
            pieces += [f"{begun}{USER}{said}{ASSISTANT}", f"{target}{END}"]
            said = ""
    return [*pieces, "\n"]


def running(text: Text, image: str) -> list[str]:
    """Prompts and targets one after the other, each target behind a space."""
    pieces: list[str] = []
    said = image
    for prompt, target in text:
        said += prompt
        if target:
            pieces += [said, f" {target}{END}"]
            said = ""
    return pieces
