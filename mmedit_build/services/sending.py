"""One request to a served model and what became of it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from mmedit_build.recipe import Endpoint
from mmedit_build.services.cache import Spent
from mmedit_build.services.chat import IMAGE_TOKENS, ChatRequest, Reply
from mmedit_build.services.keys import Key
from mmedit_build.services.wire import Trouble, payload, read_reply, status_trouble

CANNOT_CONNECT = "cannot connect"
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MOST_IMAGE_TOKENS = 3 * IMAGE_TOKENS
MOST_MESSAGE_TOKENS = 16


def worst_tokens(request: ChatRequest) -> Spent:
    """The most that a request can take: no vocabulary makes more tokens of a text than it has bytes."""
    tokens_in = sum(
        MOST_MESSAGE_TOKENS
        + len(message.text.encode("utf-8", "surrogatepass"))
        + MOST_IMAGE_TOKENS * (message.image is not None)
        for message in request.messages
    )
    return Spent(1, tokens_in, request.max_tokens)


class Sender:
    """A connection to a server, open while it is used as a context."""

    def __init__(self, model: Endpoint, key: Key, *, logprobs: bool) -> None:
        self._model = model
        # All requests are sent once: it is known here what each failure costs, and who else should wait.
        self._client = AsyncOpenAI(
            api_key=key.value, base_url=model.base_url, max_retries=0, timeout=model.timeout
        )
        self.logprobs = logprobs
        """Whether the server takes requests for the tokens' probabilities, as far as is known."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def send(self, request: ChatRequest) -> Reply | Trouble:
        """Send a request once; a server that knows no `logprobs` is asked again without them."""
        wanted = request.logprobs and self.logprobs
        outcome = await self._send(request, logprobs=wanted)
        if wanted and isinstance(outcome, Trouble) and outcome.kind == "refused":
            plain = await self._send(request, logprobs=False)
            if isinstance(plain, Reply):
                self.logprobs = False
            return plain
        return outcome

    async def _send(self, request: ChatRequest, *, logprobs: bool) -> Reply | Trouble:
        body: Any = payload(self._model, request, logprobs=logprobs)
        worst = worst_tokens(request)
        lost = (worst.input_tokens, worst.output_tokens)
        try:
            # The client's own timeout is for each step, and a server that dribbles makes many steps.
            async with asyncio.timeout(self._model.timeout):
                answer = await self._client.chat.completions.with_raw_response.create(**body)
        except APIStatusError as error:
            return status_trouble(error.status_code, error.response.headers, error.response.text)
        except APIConnectionError as error:
            if isinstance(error.__cause__, NEVER_SENT):
                return Trouble("wire", CANNOT_CONNECT)
            reason = "timed out" if isinstance(error, APITimeoutError) else "connection cut"
            return Trouble("wire", reason, tokens=lost)
        except TimeoutError:
            return Trouble("wire", "timed out", tokens=lost)
        except httpx2.HTTPError:
            return Trouble("wire", "connection cut", tokens=lost)
        return read_reply(answer.text, request)
