"""What requests to served models will take: tokens and their price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest
from mmedit_build.services.served.cache import request_key, stored_keys

CHARACTERS_PER_TOKEN = 4
"""Of English text under the usual vocabularies. Other languages need more tokens: estimates are estimates."""
IMAGE_TOKENS = 1000
"""What an image of about 640 x 480 costs; services count between 100 and 1,500."""
MESSAGE_TOKENS = 4
"""What a chat template puts around a message."""


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


def estimate(model: Endpoint, requests: Iterable[ChatRequest], cache: Path | None = None) -> Estimate:
    """What the requests will take that the cache does not hold; takes no network."""
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
