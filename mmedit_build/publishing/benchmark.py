"""What tells the Hub, and readers of the card, how the dataset is judged by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from mmedit_build.columns import EDITS
from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.publishing.manifest import row_counts
from mmedit_build.publishing.writing import Part
from mmedit_build.recipe import Recipe

_MOST_BYTES = 1 << 20
_MAIN = re.compile(r"^## ([^\n]* protocol)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def benchmark_text(recipe: Recipe, parts: Sequence[Part]) -> str:
    """The Hub's `eval.yaml`: a task for each table of test edits."""
    rows = row_counts(parts)
    fields = {
        "name": recipe.publish.title,
        "description": " ".join(recipe.about.split()),
        "evaluation_framework": "mmedit",
        "tasks": [
            {"id": config, "config": config, "split": "test"}
            for config in EDITS
            if "test" in rows.get(config, {})
        ],
    }
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def baselines(name: str | None) -> str:
    """The main tables of what `mmedit-eval` wrote, for the card; nothing if no file is named."""
    if name is None:
        return ""
    try:
        text = read_bytes(Path(name), _MOST_BYTES).decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UserError(f"Cannot read {name} ({reason}); name the tables.md of a report.") from error
    found = _MAIN.findall(text)
    if not found:
        raise UserError(f"{name} has no table of a protocol; name the tables.md of a report.")
    titles = {title for title, _ in found}
    # Where seeds are taken together, each by itself is not for the card.
    main = [(title, table) for title, table in found if _over_seeds(title) not in titles]
    return "\n\n".join(f"### {title}\n\n{table.strip()}" for title, table in main)


def _over_seeds(title: str) -> str:
    """The title of the same table of means over seeds."""
    head, _, protocol = title.rpartition(", ")
    return f"{head}, over seeds, {protocol}"
