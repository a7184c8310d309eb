"""What traces are of. Those who read them need no more than this: no model, and no library of models."""

from __future__ import annotations

from typing import Literal

Kind = Literal["text", "image"]
KINDS: tuple[Kind, ...] = ("text", "image")
Role = Literal[
    "image",
    "before",
    "subject_first",
    "subject_middle",
    "subject_last",
    "subject_end",
    "after",
    "template",
    "question",
    "last",
]
ROLES: dict[Role, str] = {
    "image": "one image token",
    "before": "words before it",
    "subject_first": "subject, first token",
    "subject_middle": "subject, middle",
    "subject_last": "subject, last token",
    "subject_end": "subject end = last",
    "after": "words after it",
    "template": "template",
    "question": "words of the question",
    "last": "last token",
}
"""What a position is, in the order of pictures."""
Site = Literal["hidden", "mlp", "attention"]
SITES: tuple[Site, ...] = ("hidden", "mlp", "attention")
"""Whose states are restored."""
