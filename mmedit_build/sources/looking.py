"""Whether the sources of a recipe are there, without reading what mining reads first of all anyway."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import Sources as Drawn
from mmedit_build.recipe import (
    Added,
    CaptionFiles,
    CaptionSource,
    Draw,
    FactFile,
    FactSource,
    HubFacts,
    QuestionFiles,
    QuestionSource,
    Recipe,
)
from mmedit_build.sources.hub import look_at
from mmedit_build.sources.own import look_at_own
from mmedit_build.sources.places import PLACEHOLDER, path_of
from mmedit_build.sources.reading import placed
from mmedit_build.work import Work

Source = QuestionSource | CaptionSource | FactSource
FILES = (QuestionFiles, CaptionFiles, FactFile)
IMAGES = "images"
"""The key of a folder; all others that name a path name a file."""


def look_at_source(source: Source, draw: Draw | None, work: Work) -> None:
    """Refuse a source that is not there and will not be drawn."""
    if isinstance(source, Added):
        look_at_own(source, work)
    elif not isinstance(source, FILES):
        look_at(placed(source, work))
    for key, text in paths(source).items():
        _look_at_path(key, text, draw, work)


def is_there(source: Source, work: Work) -> bool:
    """Whether the source can be read now; what the recipe draws may come later."""
    return all(path_of(text, work).exists() for text in paths(source).values())


def missing_paths(recipe: Recipe) -> list[str]:
    """The files and folders that a recipe names and that are not here, but for those that it draws."""
    sources, attach = recipe.sources, recipe.attach
    every = (*sources.vqa, *sources.captions, *attach.text, *attach.image)
    named = dict.fromkeys(text for source in every for text in paths(source).values())
    nowhere = Work(Path("runs") / recipe.name)
    return [text for text in named if PLACEHOLDER not in text and not path_of(text, nowhere).exists()]


def paths(source: Source) -> dict[str, str]:
    """What a source reads from this machine, by the keys of the recipe."""
    if isinstance(source, FactFile):
        return {"path": source.path}
    if isinstance(source, QuestionFiles):
        return {"questions": source.questions, "annotations": source.annotations, IMAGES: source.images}
    if isinstance(source, CaptionFiles):
        return {"annotations": source.annotations, IMAGES: source.images}
    if isinstance(source, Added | HubFacts) or source.images is None:
        return {}
    return {IMAGES: source.images}


def _look_at_path(key: str, text: str, draw: Draw | None, work: Work) -> None:
    path = path_of(text, work)
    if draw is not None and text.startswith(PLACEHOLDER):
        if path not in Drawn(work.sources, 0, 0, 0, 0, 0).places():
            raise UserError(f"{text}, which the recipe names as {key}, is nothing that `draw` makes.")
    elif not (path.is_dir() if key == IMAGES else path.is_file()):
        kind = "folder" if key == IMAGES else "file"
        raise UserError(f"There is no {kind} {path}, which the recipe names as {key}: check its path.")
