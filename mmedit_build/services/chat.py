"""Chat models, in this process or served: what they are asked and what they reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from mmedit_build.prompts import chat_messages

Role = Literal["system", "user", "assistant"]

NOT_NUMBERS = "the model's scores are not numbers"
"""Why a model said nothing of use whose weights or activations went beyond what its precision can hold."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; its image, as encoded bytes, comes before the text."""

    role: Role
    text: str
    image: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a model is asked for; requests that are equal get the same reply, which is paid once."""

    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    sample: int = 0
    """Which one it is of several replies wanted to the same messages."""
    logprobs: bool = False
    """Whether the reply shall tell its confidence, where the model can."""
    cut: bool = False
    """Whether a reply that `max_tokens` cut off is one, too: the beginning of what the model says."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said."""

    text: str
    confidence: float | None
    """Geometric mean of the tokens' probabilities, if it was asked for and told."""
    input_tokens: int
    output_tokens: int
    cached: bool
    """Whether it had been paid before."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """Why a model said nothing that can be used."""

    reason: str
    """A few words that many requests share."""


class Chat(Protocol):
    """A chat model."""

    @property
    def name(self) -> str:
        """The model, with its revision after an @ if it has one."""
        ...

    def ask(self, requests: Sequence[ChatRequest]) -> list[Reply | NoReply]:
        """One outcome for each request, in order."""
        ...


def prompt_messages(name: str, **words: str) -> tuple[Message, ...]:
    """The messages of a prompt file with its placeholders filled."""
    return tuple(Message(cast("Role", one["role"]), one["content"]) for one in chat_messages(name, **words))
