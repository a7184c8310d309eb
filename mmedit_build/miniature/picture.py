"""The picture of rows that the README shows: the miniature's recipe on fewer drawings."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmedit_build.build import Build
from mmedit_build.console import silent
from mmedit_build.miniature.truth import build_all
from mmedit_build.publishing.picture import write_picture
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import load_recipe, merged
from mmedit_build.work import Work

FEWER: dict[str, Any] = {
    "draw": {"train_images": 60, "val_images": 100},
    "mine": {
        "vqa": {"sizes": {"train": 8, "test": 4}},
        "caption": {"sizes": {"train": 4, "test": 2}},
    },
}
"""A larger world begins with the drawings of a smaller one, and what is made of an edit hangs on its own seed
alone: these are rows of the whole miniature too, but for how captions are weighed."""


def picture_recipe() -> Recipe:
    """Some rows in half a minute, the same on every machine as far as its numbers are."""
    whole = load_recipe().model_dump(mode="json")
    return Recipe.model_validate(_on_cpu(merged(whole, FEWER)))


def draw_rows(path: Path) -> None:
    """Build these rows, and draw them."""
    with TemporaryDirectory() as folder:
        build = Build(picture_recipe(), Work(Path(folder)), silent)
        build_all(build)
        write_picture(path, build.finished(), build.work)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "cpu" if name == "device" else _on_cpu(inner) for name, inner in value.items()}
    return [_on_cpu(inner) for inner in value] if isinstance(value, list) else value
