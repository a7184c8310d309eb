"""Secrets in texts of foreign origin: found and taken out, as they are and inside base64."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

SHORTEST = 8
"""Servers that want no key are often given a word such as EMPTY, which may stand in any text."""
_URL_SAFE = str.maketrans("+/", "-_")


def shows(text: str, secret: str) -> bool:
    """Whether a text holds a secret; words too short for one are none."""
    return len(secret) >= SHORTEST and any(form in text for form in (secret, *_in_base64(secret)))


def hide(text: str, secret: str) -> str:
    """The text without the secret."""
    forms = (secret, *_in_base64(secret)) if len(secret) >= SHORTEST else (secret,)
    for form in filter(None, forms):
        text = text.replace(form, "[key]")
    return text


@cache
def _in_base64(secret: str) -> tuple[str, ...]:
    """What base64 makes of a secret wherever it begins: three bytes become four letters at a time."""
    data = secret.encode("utf-8", "surrogateescape")
    forms = set()
    for before in range(3):
        coded = b64encode(bytes(before) + data).decode()
        # Letters at the ends that also hold bits of what stands before or after it are left out.
        form = coded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        forms |= {form, form.translate(_URL_SAFE)}
    return tuple(sorted(forms))
