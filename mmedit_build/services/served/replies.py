"""What comes back from a served model: whatever it is, it is a reply or has a name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from mmedit_build.services.chat import ChatRequest, Reply
from mmedit_build.services.served.cost import likely_tokens, text_tokens

RATE_LIMIT = "rate limit (429)"
REDIRECT = "redirect"
AGAIN = frozenset({408, 409, 425, 429})
CONTENT_CODES = ("content_filter", "content_policy_violation", "data_inspection_failed")
CONTENT_WORDS = ("content filter", "content management policy", "content policy", "safety system")
MOST_TOKENS = 2**31
"""What no reply takes."""
ENVELOPE_BYTES = 2**16
TOKEN_BYTES = 2**11
"""More than any server writes around a reply, and for each token of it: escaped, with its probability."""
MOST_DEPTH = 32
"""Replies nest eight deep or so."""
ROUNDING = 1e-3
"""How far above 0 servers that compute in half precision put the logarithm of a probability of 1."""
REPLACED = "\ufffd"
"""What stands where somebody before us could not decode."""

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


def most_bytes(request: ChatRequest) -> int:
    """How long an answer may be: far more than its tokens can make it."""
    return ENVELOPE_BYTES + TOKEN_BYTES * request.max_tokens


def read_reply(body: bytes, request: ChatRequest) -> Reply | Trouble:
    """The reply in the body of an answer with status 200."""
    worst = (likely_tokens(request), request.max_tokens)
    if len(body) > most_bytes(request):
        return Trouble("reply", "reply longer than its tokens", tokens=worst)
    try:
        fields = _json(body)
        choice = fields["choices"][0]
        text = _text(choice["message"].get("content") or "")
        tokens = _usage(fields, request, text)
        confidence = _confidence(choice)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return Trouble("reply", "malformed reply", _error(body)[1], tokens=worst)
    finish = choice.get("finish_reason")
    if finish == "content_filter" or choice["message"].get("refusal"):
        return Trouble("content", "content refused", tokens=tokens)
    if finish == "length" and not (request.cut and text):
        return Trouble("reply", "reply cut off by max_tokens", tokens=tokens)
    if not text:
        return Trouble("reply", "empty reply", tokens=tokens)
    return Reply(text, confidence, *tokens, cached=False)


def _json(body: bytes) -> Any:
    """What a body says, as UTF-8 whatever its headers say of it; a ValueError if it says nothing."""
    try:
        value = json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return value
    raise ValueError("nested too deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _text(content: Any) -> str:
    """A text that is what the model said, letter by letter, and that files can hold."""
    if not isinstance(content, str):
        raise TypeError("content is not a text")
    # JSON may hold halves of surrogate pairs, which have no bytes.
    content.encode()
    if REPLACED in content:
        raise ValueError("content was broken on its way")
    return content.strip()


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
    if any(log > ROUNDING for log in logs):
        raise ValueError("probabilities above 1")
    known = logs and all(map(math.isfinite, logs))
    return math.exp(min(sum(logs) / len(logs), 0.0)) if known else None


def status_trouble(status: int, headers: Mapping[str, str], body: bytes) -> Trouble:
    """What an answer with a status other than 200 and its like means."""
    if 300 <= status < 400:
        return Trouble("stop", REDIRECT, headers.get("location", ""))
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


def _error(body: bytes) -> tuple[str, str]:
    """Code and message of an error, whatever shape it has."""
    try:
        fields = _json(body)
    except ValueError:
        return "", " ".join(body.decode(errors="replace").split())
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
            seconds = _seconds_until(parsedate_to_datetime(value))
        except (ValueError, OverflowError):
            # No date, or one of a year that there is not.
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(then: datetime) -> float:
    # A date without a zone is in GMT, as HTTP dates are.
    return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
