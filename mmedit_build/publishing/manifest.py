"""What a dataset was made from and of which files it consists, for programs to read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

from mmedit_build.errors import UserError
from mmedit_build.publishing.files import File
from mmedit_build.publishing.tables import Part
from mmedit_build.recipe import Recipe
from mmedit_build.rows import Edit
from mmedit_build.services.keys import address

StageCounts = TypedDict("StageCounts", {"in": int, "out": int, "rejected": Mapping[str, int], "failed": int})
"""What became of the rows of one stage; the rejected ones by reason."""
Counts = Mapping[str, StageCounts]
Audit = Mapping[str, int | float]
"""What an audit of the edits measured, by the name of the measure."""

_WHERE_TO = ("repository", "private", "tag")
_SHORTEST_SECRET = 8
"""Servers that want no key are often given a word such as EMPTY, which may stand in any text."""
_TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def resolved(recipe: Recipe) -> dict[str, Any]:
    """The recipe with all defaults. Where it is published is left out, as the content does not depend on it:
    under a second tag, the same dataset is the same bytes."""
    fields: dict[str, Any] = recipe.model_dump(mode="json")
    fields["publish"] = {name: value for name, value in fields["publish"].items() if name not in _WHERE_TO}
    for section, name in _keys(fields, "base_url"):
        # Refuses an address that holds a key.
        section[name] = address(section[name])
    named: dict[str, Any] = _without_folders(fields)
    return named


def _without_folders(value: Any) -> Any:
    """Files and models by their names alone: where they lie tells of the machine, not of the dataset."""
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def provenance(edits: Sequence[Edit]) -> dict[str, list[str]]:
    """Which models and prompts the edits name."""
    rephrases = [edit.rephrase for edit in edits if edit.rephrase]
    images = [edit.imagined for edit in edits if edit.imagined]
    return {
        "base": sorted({edit.base for edit in edits}),
        "rephrase_models": sorted({rephrase.model for rephrase in rephrases}),
        "prompts": sorted({rephrase.prompt for rephrase in rephrases}),
        "imagine_models": sorted({image.model for image in images}),
        "imagine_strategies": sorted({image.strategy for image in images}),
    }


def row_counts(parts: Iterable[Part]) -> dict[str, dict[str, int]]:
    """Rows by configuration and split."""
    rows: dict[str, dict[str, int]] = {}
    for part in parts:
        rows.setdefault(part.config, {})[part.split] = part.rows
    return rows


def manifest_text(
    edits: Sequence[Edit],
    recipe: Recipe,
    counts: Counts,
    audit: Audit,
    parts: Sequence[Part],
    files: Sequence[File],
) -> str:
    """The manifest as JSON; it depends on the content only, so it holds no time."""
    fields = {
        "mmedit": metadata.version("mmedit"),
        "recipe": resolved(recipe),
        "provenance": provenance(edits),
        "stages": counts,
        "audit": audit,
        "rows": row_counts(parts),
        "files": {file.name: {"sha256": file.sha256, "bytes": file.size} for file in files},
    }
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def refuse_secrets(texts: Mapping[str, str], recipe: Recipe) -> None:
    """Refuse texts that hold the value of a variable in which keys are kept; by the name of the text."""
    fields = recipe.model_dump(mode="json")
    variables = {section[name] for section, name in _keys(fields, "key_variable")}
    for variable in sorted(variables.union(_TOKEN_VARIABLES)):
        value = os.environ.get(variable, "")
        for name, text in texts.items():
            if len(value) >= _SHORTEST_SECRET and value in text:
                raise UserError(
                    f"{name} would show the value of the environment variable {variable}: take the key out "
                    "of the recipe and of the names of its files and models."
                )


def _keys(fields: Any, wanted: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place in nested fields that has this key."""
    if isinstance(fields, dict):
        if wanted in fields:
            yield fields, wanted
        fields = list(fields.values())
    if isinstance(fields, list):
        for value in fields:
            yield from _keys(value, wanted)
