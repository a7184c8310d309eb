"""Which questions of the world the chat models learn from; the others tell how they do on unseen ones."""

from __future__ import annotations

import zlib

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings


def held_out(meaning: Meaning) -> bool:
    """Whether the models never see this question: a tenth of those that name a thing."""
    return bool(meaning.x) and zlib.crc32(repr(meaning).encode()) % 10 == 0


def learned_meanings() -> dict[str, list[Meaning]]:
    """What the models learn from, by form."""
    return {form: [m for m in all_meanings() if m.form == form and not held_out(m)] for form in FORMS}
