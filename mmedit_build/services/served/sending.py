"""One request to a served model and what became of it."""

from __future__ import annotations

import asyncio
import zlib
from types import TracebackType
from typing import Any, Self

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Reply
from mmedit_build.services.served.cache import Spent
from mmedit_build.services.served.cost import IMAGE_TOKENS
from mmedit_build.services.served.keys import Key
from mmedit_build.services.served.replies import Trouble, read_reply, status_trouble
from mmedit_build.services.served.wire import payload

CANNOT_CONNECT = "cannot connect"
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MOST_IMAGE_TOKENS = 3 * IMAGE_TOKENS
MOST_MESSAGE_TOKENS = 16
PACKED = ("gzip", "x-gzip", "deflate")
READ_HEADERS = (b"retry-after", b"location")
"""Of those that a server sends; others could only mislead."""


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
    """A connection to a server, open while it is used as a context; of no answer are more bytes read than
    `most_bytes`, and one."""

    def __init__(self, model: Endpoint, key: Key, *, logprobs: bool, most_bytes: int) -> None:
        self._model = model
        self._key = key
        # All requests are sent once: it is known here what each failure costs, and who else should wait.
        self._client = AsyncOpenAI(
            api_key=key.value,
            base_url=model.base_url,
            max_retries=0,
            timeout=model.timeout,
            http_client=_Client(most_bytes, model.concurrency),
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
            return status_trouble(error.status_code, error.response.headers, error.response.content)
        except (APIConnectionError, TimeoutError, httpx2.HTTPError) as error:
            return _cut(error, lost)
        reply = read_reply(answer.content, request)
        # It would be kept, and published.
        shown = isinstance(reply, Reply) and self._key.shows_in(reply.text)
        return Trouble("reply", "reply that holds the key", tokens=lost) if shown else reply


def _cut(error: Exception, lost: tuple[int, int]) -> Trouble:
    """What an error on the way means."""
    if isinstance(error.__cause__, NEVER_SENT):
        return Trouble("wire", CANNOT_CONNECT)
    late = isinstance(error, APITimeoutError | TimeoutError)
    return Trouble("wire", "timed out" if late else "connection cut", tokens=lost)


class _Client(httpx2.AsyncClient):
    """Goes to no other address than the one it was given, and reads a bounded part of each answer, as bytes:
    nothing that a server says about them is believed but how they are packed."""

    def __init__(self, most_bytes: int, connections: int) -> None:
        super().__init__(limits=httpx2.Limits(max_connections=None, max_keepalive_connections=connections))
        self._most_bytes = most_bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer, as far as it is read; questions and pictures are not sent on elsewhere."""
        answer = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
        try:
            packed = bytearray()
            async for part in answer.aiter_raw():
                packed += part
                if len(packed) > self._most_bytes:
                    break
        finally:
            # If there is more to come, this ends the connection.
            await answer.aclose()
        encoding = answer.headers.get("content-encoding", "")
        body = _unpacked(bytes(packed), encoding, self._most_bytes + 1)
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() in READ_HEADERS]
        return httpx2.Response(answer.status_code, headers=headers, content=body, request=request)


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The first bytes of what a server packed, or nothing if it did not: a few bytes may hold gigabytes."""
    if encoding.strip().lower() not in PACKED:
        return body[:most]
    try:
        # 32 finds out which of the two formats it is.
        return zlib.decompressobj(zlib.MAX_WBITS + 32).decompress(body, most)
    except zlib.error:
        return b""
