"""The chat model: does it rephrase unseen questions validly, and judge pairs of questions rightly?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings, changed_words, parse, say
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.train.judging import judged
from mmedit_build.miniature.train.learned import held_out
from mmedit_build.recipe import Local
from mmedit_build.services.chat import ChatRequest, Reply, prompt_messages
from mmedit_build.services.local_chat import LocalChat
from mmedit_build.stages.verdicts import judge_request

NAME = "chat"
QUESTIONS = 300
SAMPLES = 4
SAMPLED_QUESTIONS = 60
PAIRS = 500
TOKENS = 48
BATCH = 50


def _replies(chat: LocalChat, questions: Sequence[str], temperature: float, samples: int) -> list[str]:
    """`samples` replies to each question, one question after the other."""
    asked = [
        ChatRequest(prompt_messages("rephrase", question=question), temperature, TOKENS, sample)
        for question in questions
        for sample in range(samples)
    ]
    return [reply.text if isinstance(reply, Reply) else "" for reply in chat.ask(asked)]


def unseen_questions(number: int) -> list[tuple[str, Meaning]]:
    """Questions that the model was never trained on, all forms in turn."""
    rng = random.Random("unseen questions")
    pools = [[m for m in all_meanings() if m.form == form and held_out(m)] for form in FORMS]
    chosen = (rng.choice(pool) for pool in islice(cycle(filter(None, pools)), number))
    return [(rng.choice(say(meaning)), meaning) for meaning in chosen]


def unseen_pairs(number: int) -> list[tuple[str, str, bool]]:
    """Pairs to judge, each with a question that the model was never trained on."""
    rng = random.Random("unseen pairs")
    return [judged(meaning, rng, unseen=True) for _, meaning in unseen_questions(number)]


def measure_chat(weights: Path, device: str) -> list[Measure]:
    """Validity, distance from the original, and variety of rephrasings; and how the model judges them."""
    chat = LocalChat.load(Local(model=str(weights / NAME), device=device, batch_size=BATCH))
    asked = unseen_questions(QUESTIONS)
    questions = [question for question, _ in asked]
    replies = _replies(chat, questions, temperature=0.0, samples=1)
    valid = [_valid(*pair) for pair in zip(asked, replies, strict=True)]
    changed = [
        ok and changed_words(question, reply) > 1
        for ok, question, reply in zip(valid, questions, replies, strict=True)
    ]
    sampled = _replies(chat, questions[:SAMPLED_QUESTIONS], temperature=1.0, samples=SAMPLES)
    groups = [set(sampled[start : start + SAMPLES]) for start in range(0, len(sampled), SAMPLES)]
    return [
        share(NAME, "valid paraphrases of unseen questions", valid, least=0.8),
        share(NAME, "valid and more than one word changed", changed, least=0.6),
        *_judging(chat),
        share(
            NAME, f"{SAMPLES} samples are not all the same", (len(group) > 1 for group in groups), least=0.9
        ),
    ]


def _judging(chat: LocalChat) -> list[Measure]:
    """What the model says of pairs, asked in both directions as the stage asks."""
    pairs = unseen_pairs(PAIRS)
    requests = [judge_request(*pair[:2][::way]) for pair in pairs for way in (1, -1)]
    said = [isinstance(reply, Reply) and reply.text == "yes" for reply in chat.ask(requests)]
    passed = [all(said[start : start + 2]) for start in range(0, len(said), 2)]
    kept = [one for one, (_, _, same) in zip(passed, pairs, strict=True) if same]
    refused = [not one for one, (_, _, same) in zip(passed, pairs, strict=True) if not same]
    return [
        share(NAME, "judge: questions that differ are refused", refused, least=0.95),
        share(NAME, "judge: questions that ask the same pass", kept, least=0.9),
    ]


def _valid(asked: tuple[str, Meaning], reply: str) -> bool:
    question, meaning = asked
    return reply != question and parse(reply) == meaning
