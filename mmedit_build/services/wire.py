"""What goes over the wire to a served model, and what comes back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply, likely_tokens, text_tokens
from mmedit_build.services.keys import OPENAI_HOST, split_address

MEDIA_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
RATE_LIMIT = "rate limit (429)"
AGAIN = frozenset({408, 409, 425, 429})
CONTENT_CODES = ("content_filter", "content_policy_violation", "data_inspection_failed")
CONTENT_WORDS = ("content filter", "content management policy", "content policy", "safety system")
MOST_TOKENS = 2**31
"""What no reply takes."""

Kind = Literal["wire", "reply", "content", "refused", "stop"]
"""What went wrong: on the way, so that it is tried again; in the reply, which is tried again a few times;
with the content of this request; with this request for a reason unknown; with all requests."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that brought no reply of use."""

    kind: Kind
    reason: str
    """A few words that many requests share."""
    detail: str = ""
    """The server's own words, which may hold anything."""
    wait: float | None = None
    """Seconds that the server wants to be left alone."""
    tokens: tuple[int, int] | None = None
    """Input and output that were paid all the same, or may have been."""


def payload(model: Endpoint, request: ChatRequest, *, logprobs: bool) -> dict[str, Any]:
    """The body of a request."""
    # The newer models of OpenAI refuse the old name, and many other servers do not know the new one.
    new_name = split_address(model.base_url).hostname == OPENAI_HOST
    body = {
        "model": model.model,
        "messages": [_message(message) for message in request.messages],
        "temperature": request.temperature,
        "max_completion_tokens" if new_name else "max_tokens": request.max_tokens,
    }
    return body | {"logprobs": True} if logprobs else body


def _message(message: Message) -> dict[str, Any]:
    text = _writable(message.text)
    if message.image is None:
        return {"role": message.role, "content": text}
    data = base64.b64encode(message.image).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:{media_type(message.image)};base64,{data}"}}
    return {"role": message.role, "content": [image, {"type": "text", "text": text}]}


def media_type(image: bytes) -> str:
    """The media type of an encoded image, by its first bytes."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in MEDIA_TYPES if image.startswith(start)), "application/octet-stream")


def read_reply(body: str, request: ChatRequest) -> Reply | Trouble:
    """The reply in the body of an answer with status 200."""
    try:
        fields = json.loads(body)
        choice = fields["choices"][0]
        text = choice["message"].get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content is not a text")
        text = _writable(text).strip()
        tokens = _usage(fields, request, text)
        confidence = _confidence(choice)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        worst = (likely_tokens(request), request.max_tokens)
        return Trouble("reply", "malformed reply", _error(body)[1], tokens=worst)
    finish = choice.get("finish_reason")
    if finish == "content_filter" or choice["message"].get("refusal"):
        return Trouble("content", "content refused", tokens=tokens)
    if finish == "length":
        return Trouble("reply", "reply cut off by max_tokens", tokens=tokens)
    if not text:
        return Trouble("reply", "empty reply", tokens=tokens)
    return Reply(text, confidence, *tokens, cached=False)


def _usage(fields: Mapping[str, Any], request: ChatRequest, text: str) -> tuple[int, int]:
    """Tokens of input and output, estimated where the server does not count them."""
    usage = fields.get("usage") or {}
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    counts = (
        likely_tokens(request) if tokens_in is None else int(tokens_in),
        text_tokens(text) if tokens_out is None else int(tokens_out),
    )
    if not all(0 <= count < MOST_TOKENS for count in counts):
        raise ValueError("no count of tokens")
    return counts


def _confidence(choice: Mapping[str, Any]) -> float | None:
    tokens = (choice.get("logprobs") or {}).get("content") or []
    logs = [float(token["logprob"]) for token in tokens]
    return math.exp(sum(logs) / len(logs)) if logs and all(map(math.isfinite, logs)) else None


def _writable(text: str) -> str:
    """The text without what JSON may hold and no file: halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def status_trouble(status: int, headers: Mapping[str, str], body: str) -> Trouble:
    """What an answer with a status of 400 or above means."""
    code, words = _error(body)
    if status == 429 and "insufficient_quota" in code:
        return Trouble("stop", "no quota left", words)
    if status in AGAIN or status >= 500:
        reason = RATE_LIMIT if status == 429 else f"server error ({status})"
        return Trouble("wire", reason, words, wait=retry_after(headers))
    if status in (401, 402, 403, 404):
        return Trouble("stop", str(status), words)
    if any(mark in code for mark in CONTENT_CODES) or any(mark in words.lower() for mark in CONTENT_WORDS):
        return Trouble("content", "content refused", words)
    return Trouble("refused", f"refused by the server ({status})", words)


def _error(body: str) -> tuple[str, str]:
    """Code and message of an error, whatever shape it has."""
    try:
        fields = json.loads(body)
    except ValueError:
        return "", " ".join(body.split())
    error = fields.get("error", fields) if isinstance(fields, dict) else fields
    if not isinstance(error, dict):
        return "", str(error)
    message = error.get("message") or error.get("detail") or ""
    return f"{error.get('code')} {error.get('type')}", " ".join(str(message).split())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, given as seconds or as a date; never below 0."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        # A date without a zone is in GMT, as HTTP dates are.
        seconds = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None
