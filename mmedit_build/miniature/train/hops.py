"""The model of hops: the chat model's sister, which goes one step beyond questions about the world."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from mmedit_build.miniature.grammar import Meaning, all_meanings, say
from mmedit_build.miniature.hops import POINTERS, telling_hops
from mmedit_build.miniature.train.chat import (
    Messages,
    build_model,
    chat_tokenizer,
    conversation,
    save_chat,
    train_replies,
)
from mmedit_build.miniature.train.learned import learned_meanings
from mmedit_build.miniature.train.loop import Run, Stage
from mmedit_build.miniature.train.texts import wrong_answer
from mmedit_build.miniature.train.tokens import Row
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS
from mmedit_build.prompts import chat_messages

HOPS = Stage("hops", steps=9000, rate=2e-3, batch=16)

NONE = "none"
"""What is replied where there is nothing to ask one step further."""
WITHOUT_HOP = 0.2
"""How many of the questions to go further from are drawn whatever they ask for."""
ANSWERS = (*KINDS, *COLORS, *CORNERS, *BACKGROUNDS, "yes", "no", "big", "small", "0", "1", "2", "3", "4")


def example(rng: random.Random) -> tuple[Messages, str]:
    """A question with a right and a wrong answer, and the reply that takes it one step further."""
    whatever = rng.random() < WITHOUT_HOP
    by_form = _learned()
    meaning = rng.choice(by_form[rng.choice(list(by_form if whatever else POINTERS))])
    target = rng.choice(ANSWERS if whatever else KINDS)
    prediction = wrong_answer(target, rng)
    words = {"question": rng.choice(say(meaning)), "target": target, "prediction": prediction}
    return chat_messages("extend", **words), reply(meaning, target, prediction, rng)


def reply(meaning: Meaning, target: str, prediction: str, rng: random.Random) -> str:
    """One of the steps further, in the lines of our prompt. Its answer is drawn first, as some have more
    wordings than others."""
    found = telling_hops(meaning, target, prediction)
    if not found:
        return NONE
    answers = rng.choice(sorted({hop.answers for hop in found}))
    hop = rng.choice([hop for hop in found if hop.answers == answers])
    return f"Picture: {hop.question}\nWords: {hop.premise}\nAnswer: {hop.answers[0]}"


def build_tokenizer() -> PreTrainedTokenizerFast:
    rng = random.Random(0)
    texts = [wording for meaning in all_meanings() for wording in say(meaning)]
    for messages, said in (example(rng) for _ in range(2000)):
        texts += [said, *(message["content"] for message in messages)]
    return chat_tokenizer(texts, 800)


def train_hops(run: Run, out: Path) -> None:
    """Train the model of hops and save it as an ordinary folder."""
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, positions=384)

    def hop(rng: random.Random) -> Row:
        return conversation(*example(rng), tokenizer)

    train_replies(HOPS, model, tokenizer, lambda _rng: hop, run)
    save_chat(model, tokenizer, 96, out)


@cache
def _learned() -> dict[str, list[Meaning]]:
    return learned_meanings()
