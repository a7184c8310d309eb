"""Keys of served models: where they come from, and how they stay out of texts."""

from __future__ import annotations

import logging
import os
from urllib.parse import SplitResult, urlsplit

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.secrecy import hide, shows

OPENAI_HOST = "api.openai.com"
NO_KEY = "none"
"""Sent to servers that want no key, as the client insists on one."""
WIRES = ("openai", "httpx2", "httpcore2")
"""Loggers that at DEBUG tell of headers, addresses and bodies."""


class Key:
    """A key that shows itself only to who asks for its value."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    @property
    def value(self) -> str:
        return self._value or NO_KEY

    def redact(self, text: str) -> str:
        """A text of foreign origin, without the key."""
        return hide(text, self._value or "")

    def shows_in(self, text: str) -> bool:
        """Whether a text of foreign origin holds the key."""
        return shows(text, self._value or "")

    def __repr__(self) -> str:
        return "Key(hidden)"


def find_key(model: Endpoint) -> Key:
    """The key of a served model, from its environment variable."""
    # First, so that whoever looks for the key ahead of long work hears of an unusable address, too.
    host = split_address(model.base_url).hostname
    value = os.environ.get(model.key_variable, "").strip()
    if not value:
        if host == OPENAI_HOST:
            raise UserError(
                f"{address(model.base_url)} wants a key: set the environment variable {model.key_variable}, "
                "or name another `key_variable` or `base_url` in the recipe."
            )
        return Key(None)
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise UserError(
            f"The environment variable {model.key_variable} holds characters no key has: copy it again."
        )
    return Key(value)


def address(base_url: str) -> str:
    """A server's address as it may be shown and kept: without trailing slash."""
    parts = split_address(base_url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def split_address(base_url: str) -> SplitResult:
    """The parts of a server's address, refused if it cannot be one or holds a password."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError("A `base_url` must look like http://localhost:8000/v1; one in this recipe does not.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(
            f"The `base_url` of {parts.hostname} holds a password or a query, and recipes are published: "
            "put the key into an environment variable and its name into `key_variable`."
        )
    return parts


def quiet_wires() -> None:
    """Keep what goes over the wire out of all logs, at whatever level they are."""
    for name in WIRES:
        logging.getLogger(name).setLevel(logging.WARNING)
