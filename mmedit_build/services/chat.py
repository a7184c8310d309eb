"""Chat models, in this process or served: what they are asked and what they reply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from mmedit_build.prompts import chat_messages
from mmedit_build.recipe import Endpoint, Local, Model

Role = Literal["system", "user", "assistant"]

CHARACTERS_PER_TOKEN = 4
"""Of English text under the usual vocabularies. Other languages need more tokens: estimates are estimates."""
IMAGE_TOKENS = 1000
"""What an image of about 640 x 480 costs; services count between 100 and 1,500."""
MESSAGE_TOKENS = 4
"""What a chat template puts around a message."""

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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What requests will take; the input is estimated from the length of the texts, the output is the most
    that the model may write."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    """None where the recipe states no price."""
    currency: str | None


def open_chat(model: Model, cache: Path) -> Chat:
    """The chat model that a recipe names; replies of served ones are kept in the file `cache`."""
    if isinstance(model, Local):
        from mmedit_build.services.local_chat import LocalChat

        return LocalChat.load(model)
    from mmedit_build.services.endpoint import EndpointChat

    return EndpointChat(model, cache)


def prompt_messages(name: str, **words: str) -> tuple[Message, ...]:
    """The messages of a prompt file with its placeholders filled."""
    system, user = chat_messages(name, **words)
    return Message("system", system["content"]), Message("user", user["content"])


def estimate(model: Endpoint, requests: Iterable[ChatRequest], cache: Path | None = None) -> Estimate:
    """What the requests will take that the cache does not hold; takes no network."""
    from mmedit_build.services.cache import request_key, stored_keys

    wanted = {request_key(model, request): request for request in requests}
    known = stored_keys(cache) if cache else set()
    new = [request for key, request in wanted.items() if key not in known]
    tokens_in = sum(map(likely_tokens, new))
    tokens_out = sum(request.max_tokens for request in new)
    cost = tokens_cost(model, tokens_in, tokens_out) if model.price else None
    return Estimate(len(new), tokens_in, tokens_out, cost, model.price.currency if model.price else None)


def likely_tokens(request: ChatRequest) -> int:
    """About how many tokens a request's messages are."""
    return sum(
        MESSAGE_TOKENS + text_tokens(message.text) + IMAGE_TOKENS * (message.image is not None)
        for message in request.messages
    )


def text_tokens(text: str) -> int:
    """About how many tokens a text is."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def tokens_cost(model: Endpoint, tokens_in: int, tokens_out: int) -> float:
    """The price of tokens; 0 where the recipe states none."""
    if model.price is None:
        return 0.0
    return (tokens_in * model.price.input + tokens_out * model.price.output) / 1e6
