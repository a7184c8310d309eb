"""What decides which outcomes become rows, and may be another from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmedit_build.build import Build
from mmedit_build.engine.settings import differences
from mmedit_build.errors import UserError
from mmedit_build.recipe import Recipe, Sizes
from mmedit_build.recipe.attach import BY_NEARNESS
from mmedit_build.rows import Task
from mmedit_build.summary import Summary

DEALT = frozenset({"text_items", "image_items", "same_image", "same_question"})
DEALT_BESIDES = frozenset({"no_image", "neighbors", *BY_NEARNESS})
DEALING = DEALT | DEALT_BESIDES
"""Settings of attach that only decide how items are dealt, which is done anew each time."""
CHOOSING = ("mine", "attach")
"""The stages that choose among what they found."""


def sizes_of(recipe: Recipe) -> dict[Task, Sizes]:
    """How many edits are wanted of each task that is mined."""
    sections: dict[Task, Any] = {"vqa": recipe.mine.vqa, "caption": recipe.mine.caption}
    return {task: section.sizes for task, section in sections.items() if section is not None}


def choice(build: Build, stage: str) -> dict[str, Any]:
    """What decides about the rows of a stage, in what JSON can express."""
    recipe = build.recipe
    sizes = {task: size.model_dump() for task, size in sizes_of(recipe).items()}
    common = {"sizes": sizes, "seed": recipe.seed, "limit": build.limit}
    if stage == "mine":
        return {**common, "spare": recipe.mine.spare}
    besides = recipe.attach.model_dump(include=set(DEALT_BESIDES), exclude_defaults=True)
    return {**common, **recipe.attach.model_dump(include=set(DEALT)), **besides}


def changed(build: Build) -> str | None:
    """How the rows of a finished stage would be chosen otherwise now; None if all would stay."""
    for stage in CHOOSING:
        before = _chosen_by(build, stage)
        if before is not None and before != choice(build, stage):
            name, was, now = next(differences(before, choice(build, stage)))
            return f"{name} was {was} and is now {now}"
    return None


def check_chosen(build: Build) -> None:
    """Refuse rows that were chosen by other settings than the recipe has now, which publishing names."""
    for stage in CHOOSING:
        before, now = _chosen_by(build, stage), choice(build, stage)
        if before is None:
            continue
        # How many rows a command takes is no setting of the recipe.
        for name, was, wanted in differences({**before, "limit": None}, {**now, "limit": None}):
            raise UserError(
                f"The rows of {stage} in {build.work.folder} were chosen otherwise than the recipe says now "
                f"({name} was {was} and is now {wanted}); run `mmedit-build {stage}` again, or "
                "`mmedit-build run` for all."
            )


def overwriting(build: Build, stages: tuple[str, ...]) -> str | None:
    """What to say before a dataset that stands there is replaced by one of other edits."""
    change = changed(build) if set(stages) & set(CHOOSING) else None
    if change is None or not build.work.dataset.exists():
        return None
    who = "this overwrites" if "publish" in stages else "`publish` will overwrite"
    return f"Edits are chosen anew ({change}), and {who} {build.work.dataset}."


def _chosen_by(build: Build, stage: str) -> Mapping[str, Any] | None:
    summary = Summary.read(build.work.stage(stage))
    return summary.chosen_by if summary else None
