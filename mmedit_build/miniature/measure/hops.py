"""The model of hops: are its questions one step further those of the world, and right?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from mmedit_build.miniature.grammar import Meaning, all_meanings, say
from mmedit_build.miniature.hops import POINTERS, is_right, telling_hops
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.train.hops import NONE
from mmedit_build.miniature.train.learned import held_out
from mmedit_build.miniature.world import KINDS
from mmedit_build.recipe import Local
from mmedit_build.services.chat import ChatRequest, Reply, prompt_messages
from mmedit_build.services.local_chat import LocalChat
from mmedit_build.stages.hops import read_hop

NAME = "hops"
QUESTIONS = 300
TOKENS = 128
BATCH = 50
UNTOLD = {
    "color": ("red", "blue"),
    "count": ("2", "3"),
    "exists": ("yes", "no"),
    "size": ("big", "small"),
    "position": ("top left", "bottom right"),
}
"""A right and a wrong answer of forms from which no step leads further."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with a right and a wrong answer."""

    meaning: Meaning
    question: str
    target: str
    prediction: str


def unseen(forms: Sequence[str], number: int) -> list[Asked]:
    """Questions that the model was never trained on, all forms in turn, from which a step leads further
    wherever any can."""
    rng = random.Random("unseen steps")
    pools = [[m for m in all_meanings() if m.form == form and held_out(m)] for form in forms]
    turns = cycle(filter(None, pools))
    found: list[Asked] = []
    while len(found) < number:
        meaning = rng.choice(next(turns))
        target, prediction = UNTOLD.get(meaning.form) or rng.sample(KINDS, 2)
        if meaning.form in UNTOLD or telling_hops(meaning, target, prediction):
            found.append(Asked(meaning, rng.choice(say(meaning)), target, prediction))
    return found


def measure_hops(weights: Path, device: str) -> list[Measure]:
    """Whether what it proposes is right, and whether it proposes nothing where there is nothing."""
    chat = LocalChat.load(Local(model=str(weights / NAME), device=device, batch_size=BATCH))
    further, nowhere = unseen(tuple(POINTERS), QUESTIONS), unseen(tuple(UNTOLD), QUESTIONS)
    right = [_is_step(*pair) for pair in zip(further, _replies(chat, further), strict=True)]
    silent = [reply == NONE for reply in _replies(chat, nowhere)]
    return [
        share(NAME, "right questions one step beyond unseen ones", right, least=0.9),
        share(NAME, "none where no step leads further", silent, least=0.9),
    ]


def _replies(chat: LocalChat, asked: Sequence[Asked]) -> list[str]:
    requests = [
        ChatRequest(
            prompt_messages("extend", question=one.question, target=one.target, prediction=one.prediction),
            0.0,
            TOKENS,
        )
        for one in asked
    ]
    return [reply.text if isinstance(reply, Reply) else "" for reply in chat.ask(requests)]


def _is_step(asked: Asked, reply: str) -> bool:
    """Whether it is one of the world's steps, rightly answered, and tells right from wrong."""
    hop = read_hop(reply)
    telling = {one.question for one in telling_hops(asked.meaning, asked.target, asked.prediction)}
    return hop.question in telling and is_right(asked.question, asked.target, hop)
