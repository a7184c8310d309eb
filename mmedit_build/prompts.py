"""The prompts of the folder `prompts/`."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

import yaml

from mmedit_build.errors import UserError, hint

SUFFIX = ".yaml"


@cache
def load_prompt(name: str) -> dict[str, Any]:
    """The fields of a prompt file, by the file's name without suffix."""
    try:
        fields = yaml.safe_load(_read(name))
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise UserError(f"prompts/{name}{SUFFIX} is no YAML ({place}): correct it.") from error
    if not isinstance(fields, dict):
        raise UserError(f"prompts/{name}{SUFFIX} must hold named fields, such as `user: ...`.")
    return fields


def chat_messages(name: str, **words: str) -> list[dict[str, str]]:
    """A chat prompt with its placeholders filled: a system message, if it has words, then one of the user."""
    prompt = load_prompt(name)
    _check(name, prompt, set(words))
    said = {role: prompt[role].format(**words) for role in ("system", "user")}
    return [{"role": role, "content": text} for role, text in said.items() if text]


def prompt_id(name: str) -> str:
    """Name and digest of a prompt file, such as rephrase#1f2e3d4c, which rows keep."""
    return f"{name}#{hashlib.sha256(_read(name)).hexdigest()[:8]}"


def _read(name: str) -> bytes:
    folder = files("prompts")
    names = sorted(
        entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)
    )
    if name not in names:
        raise UserError(f"There is no prompt {name!r}{hint(name, names)} Prompts: {', '.join(names)}.")
    return (folder / f"{name}{SUFFIX}").read_bytes()


def _check(name: str, prompt: dict[str, Any], words: set[str]) -> None:
    """Refuse a prompt that lacks a message, or whose placeholders are not exactly the words there are."""
    held: set[str] = set()
    for role in ("system", "user"):
        if not isinstance(prompt.get(role), str):
            raise UserError(f"prompts/{name}{SUFFIX} must hold a text named `{role}`.")
        held |= _placeholders(name, prompt[role])
    for placeholder in sorted(held - words):
        raise UserError(
            f"prompts/{name}{SUFFIX} holds the unknown placeholder {{{placeholder}}}"
            f"{hint(placeholder, sorted(words))} Double the braces of what is no placeholder."
        )
    for word in sorted(words - held):
        raise UserError(f"prompts/{name}{SUFFIX} must hold the placeholder {{{word}}}.")


def _placeholders(name: str, text: str) -> set[str]:
    try:
        return {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise UserError(
            f"prompts/{name}{SUFFIX} has a single brace ({error}): double the braces of what is "
            "no placeholder."
        ) from error
