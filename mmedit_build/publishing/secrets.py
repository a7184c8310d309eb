"""No secret is published: texts and tables are searched for the values of all that keep one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from huggingface_hub import get_token

from mmedit_build.columns import COLUMNS, IMAGE
from mmedit_build.errors import UserError
from mmedit_build.publishing.manifest import sections
from mmedit_build.publishing.reading import Tables
from mmedit_build.secrecy import SHORTEST, hide, shows

_TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def refuse_secrets(texts: Mapping[str, str], tables: Tables, recipe: Mapping[str, Any]) -> None:
    """Refuse tables, and texts by their names, that hold a secret, as it is or in base64."""
    # Going through all tables takes a while; most often there is nothing to look for.
    secrets = {what: secret for what, secret in _secrets(recipe).items() if len(secret) >= SHORTEST}
    for place, text in chain(_cells(tables) if secrets else (), texts.items()):
        for what, secret in secrets.items():
            if shows(text, secret):
                raise UserError(
                    f"{hide(place, secret)} would show {what}: take the key out of what that was made of "
                    "(a reply, a source, the recipe, a name of a file or model), get another key if others "
                    "may have seen it, and build again."
                )


def _secrets(recipe: Mapping[str, Any]) -> dict[str, str]:
    """All secrets that are known here, by what keeps them."""
    variables = {section["key_variable"] for section in sections(recipe, "key_variable")}
    found = {
        f"the value of the environment variable {name}": os.environ.get(name, "").strip()
        for name in sorted(variables.union(_TOKEN_VARIABLES))
    }
    return {**found, "the token of the Hub": get_token() or ""}


def _cells(tables: Tables) -> Iterator[tuple[str, str]]:
    """Every text of the tables, and where it stands."""
    for config, split in tables.files:
        texts = [name for name, kind in COLUMNS[config].items() if kind != IMAGE]
        for row in tables.rows(config, [split], *texts):
            for column, value in row.items():
                place = f"The {column} of {row['id']} in {config}/{split}"
                yield from ((place, text) for text in _texts([value]))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            yield from _texts(value.values() if isinstance(value, dict) else value)
