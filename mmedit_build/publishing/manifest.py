"""What a dataset was made from and of which files it consists, for programs to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

from mmedit_build.publishing.files import File
from mmedit_build.publishing.writing import Part
from mmedit_build.recipe import Recipe
from mmedit_build.review.figures import Figures
from mmedit_build.rows import EditRow
from mmedit_build.services.served.keys import address

StageCounts = TypedDict("StageCounts", {"in": int, "out": int, "rejected": Mapping[str, int], "failed": int})
"""What became of the rows of one stage; the rejected ones by reason."""
Counts = Mapping[str, StageCounts]
Audit = Mapping[str, int | float]
"""What an audit of the edits measured, by the name of the measure."""

_WHERE_TO = ("repository", "private", "tag", "baselines")


def resolved(recipe: Recipe) -> dict[str, Any]:
    """The recipe with all defaults. Where it is published is left out, as the content does not depend on it:
    under a second tag, the same dataset is the same bytes. Baselines are on the card."""
    fields: dict[str, Any] = recipe.model_dump(mode="json")
    fields["publish"] = {name: value for name, value in fields["publish"].items() if name not in _WHERE_TO}
    for section in sections(fields, "base_url"):
        # Refuses an address that holds a key.
        section["base_url"] = address(section["base_url"])
    named: dict[str, Any] = _without_folders(fields)
    return named


def _without_folders(value: Any) -> Any:
    """Files and models by their names alone: where they lie tells of the machine, not of the dataset."""
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


Provenance = Mapping[str, Sequence[str]]


def provenance(edits: Iterable[EditRow]) -> Provenance:
    """Which models and prompts the edits name."""
    always = ("base", "rephrase_models", "prompts", "imagine_models", "imagine_strategies")
    found: dict[str, set[str]] = {name: set() for name in always}
    for edit in edits:
        found["base"].add(edit.base)
        if edit.rephrase:
            found["rephrase_models"].add(edit.rephrase.model)
            found["prompts"].add(edit.rephrase.prompt)
        if edit.imagined:
            found["imagine_models"].add(edit.imagined.model)
            found["imagine_strategies"].add(edit.imagined.strategy)
        if edit.portability:
            found["prompts"].add(edit.portability.prompt)
            found.setdefault("portability_models", set()).add(edit.portability.model)
    return {name: sorted(of) for name, of in found.items()}


def row_counts(parts: Iterable[Part]) -> dict[str, dict[str, int]]:
    """Rows by configuration and split."""
    rows: dict[str, dict[str, int]] = {}
    for part in parts:
        rows.setdefault(part.config, {})[part.split] = part.rows
    return rows


def manifest_text(
    made_by: Provenance,
    recipe: Recipe,
    counts: Counts,
    audit: Audit,
    parts: Sequence[Part],
    files: Sequence[File],
    review: Figures | None = None,
) -> str:
    """The manifest as JSON; it depends on the content only, so it holds no time."""
    fields = {
        "mmedit": metadata.version("mmedit"),
        "recipe": resolved(recipe),
        "provenance": made_by,
        "stages": counts,
        "audit": audit,
        **({"review": {**asdict(review), "rule": review.rule.model_dump()}} if review else {}),
        "rows": row_counts(parts),
        "files": {file.name: {"sha256": file.sha256, "bytes": file.size} for file in files},
    }
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def sections(fields: Any, name: str) -> Iterator[dict[str, Any]]:
    """Every section of nested fields that has a field of this name."""
    if isinstance(fields, dict):
        if name in fields:
            yield fields
        fields = list(fields.values())
    if isinstance(fields, list):
        for value in fields:
            yield from sections(value, name)
