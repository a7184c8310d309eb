"""The prompts of the folder `prompts/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def load_prompt(name: str) -> dict[str, Any]:
    """The fields of a prompt file, by the file's name without suffix."""
    fields: dict[str, Any] = yaml.safe_load((files("prompts") / f"{name}.yaml").read_text(encoding="utf-8"))
    return fields


def chat_messages(name: str, **words: str) -> list[dict[str, str]]:
    """A chat prompt with its placeholders filled: a system message, then one of the user."""
    prompt = load_prompt(name)
    return [{"role": role, "content": prompt[role].format(**words)} for role in ("system", "user")]
