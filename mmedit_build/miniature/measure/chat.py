"""The chat model: are its rephrasings of unseen questions valid by the world's own grammar?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings, changed_words, parse, say
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.train.chat import held_out
from mmedit_build.prompts import chat_messages

NAME = "chat"
QUESTIONS = 300
SAMPLES = 4
SAMPLED_QUESTIONS = 60
TOKENS = 48
BATCH = 50


class Chat:
    """A chat model loaded by plain transformers."""

    def __init__(self, folder: Path, device: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        nn.Module.to(self.model, device)

    @torch.no_grad()
    def replies(self, questions: Sequence[str], samples: int = 0) -> list[str]:
        """One reply to each question at temperature 0, or `samples` replies at temperature 1."""
        said: list[str] = []
        for start in range(0, len(questions), BATCH):
            chats = [
                chat_messages("rephrase", question=question) for question in questions[start : start + BATCH]
            ]
            prompts: Any = self.tokenizer.apply_chat_template(
                chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
            )
            inputs = prompts.to(self.model.device)
            sampling = (
                {"do_sample": True, "num_return_sequences": samples} if samples else {"do_sample": False}
            )
            ids = self.model.generate(**inputs, **sampling, max_new_tokens=TOKENS)
            new = ids[:, inputs["input_ids"].shape[1] :]
            said += self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in said]


def unseen_questions(number: int) -> list[tuple[str, Meaning]]:
    """Questions that the model was never trained on, all forms in turn."""
    rng = random.Random("unseen questions")
    pools = [[m for m in all_meanings() if m.form == form and held_out(m)] for form in FORMS]
    chosen = (rng.choice(pool) for pool in islice(cycle(filter(None, pools)), number))
    return [(rng.choice(say(meaning)), meaning) for meaning in chosen]


def measure_chat(weights: Path, device: str) -> list[Measure]:
    """Validity, distance from the original, and variety of rephrasings."""
    chat = Chat(weights / NAME, device)
    asked = unseen_questions(QUESTIONS)
    questions = [question for question, _ in asked]
    replies = chat.replies(questions)
    valid = [_valid(*pair) for pair in zip(asked, replies, strict=True)]
    changed = [
        ok and changed_words(question, reply) > 1
        for ok, question, reply in zip(valid, questions, replies, strict=True)
    ]
    torch.manual_seed(0)
    sampled = chat.replies(questions[:SAMPLED_QUESTIONS], SAMPLES)
    groups = [set(sampled[start : start + SAMPLES]) for start in range(0, len(sampled), SAMPLES)]
    return [
        share(NAME, "valid paraphrases of unseen questions", valid, least=0.8),
        share(NAME, "valid and more than one word changed", changed, least=0.6),
        share(
            NAME, f"{SAMPLES} samples are not all the same", (len(group) > 1 for group in groups), least=0.9
        ),
    ]


def _valid(asked: tuple[str, Meaning], reply: str) -> bool:
    question, meaning = asked
    return reply != question and parse(reply) == meaning
