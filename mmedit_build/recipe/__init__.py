"""Recipes: what a benchmark is built from and how, as typed objects that refuse unknown keys."""

from __future__ import annotations

from pydantic import Field, model_validator

from mmedit_build.recipe.attach import AttachStage, Neighbors, TextEncoder
from mmedit_build.recipe.fields import Strict
from mmedit_build.recipe.models import Endpoint, Local, LocalMLLM, Model, Price, VisionModel
from mmedit_build.recipe.sources import (
    Added,
    CaptionFiles,
    CaptionSource,
    Draw,
    FactFile,
    FactSource,
    HubCaptions,
    HubFacts,
    HubPictures,
    HubQuestions,
    HubSet,
    QuestionFiles,
    QuestionSource,
    Sources,
)
from mmedit_build.recipe.stages import (
    AnswersAlike,
    ExtendStage,
    ImagineStage,
    Inversion,
    License,
    MineCaption,
    MineStage,
    MineVqa,
    PublishStage,
    Quiz,
    RephraseStage,
    Resemblance,
    Review,
    Similarity,
    Sizes,
)


class Recipe(Strict):
    """Everything about one benchmark."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)
    """Of the work folder and of the dataset."""
    about: str
    """One sentence for people."""
    seed: str = "0"
    """Decides on splits, templates, images and locality items."""
    draw: Draw | None = None
    """Left out, no sources are drawn."""
    base: VisionModel
    """The model whose failures are mined."""
    sources: Sources
    """What is mined."""
    mine: MineStage
    """Stage 1."""
    rephrase: RephraseStage
    """Stage 2."""
    imagine: ImagineStage
    """Stage 3."""
    attach: AttachStage
    """Stage 4."""
    # Not written where there is none: manifests of recipes without the stage stay as they were.
    extend: ExtendStage | None = Field(default=None, exclude_if=lambda held: held is None)
    """Stage 5; left out, there are no questions one step further."""
    publish: PublishStage
    """The last stage."""

    @model_validator(mode="after")
    def _has_something_to_mine(self) -> Recipe:
        if not (self.mine.vqa or self.mine.caption):
            raise ValueError("mine has neither vqa nor caption, so there is nothing to do")
        for section, sources in (("vqa", self.sources.vqa), ("caption", self.sources.captions)):
            if getattr(self.mine, section) and not sources:
                raise ValueError(f"mine has {section}, but sources has none for it")
        return self


__all__ = [
    "Added",
    "AnswersAlike",
    "AttachStage",
    "CaptionFiles",
    "CaptionSource",
    "Draw",
    "Endpoint",
    "ExtendStage",
    "FactFile",
    "FactSource",
    "HubCaptions",
    "HubFacts",
    "HubPictures",
    "HubQuestions",
    "HubSet",
    "ImagineStage",
    "Inversion",
    "License",
    "Local",
    "LocalMLLM",
    "MineCaption",
    "MineStage",
    "MineVqa",
    "Model",
    "Neighbors",
    "Price",
    "PublishStage",
    "QuestionFiles",
    "QuestionSource",
    "Quiz",
    "Recipe",
    "RephraseStage",
    "Resemblance",
    "Review",
    "Similarity",
    "Sizes",
    "Sources",
    "TextEncoder",
    "VisionModel",
]
