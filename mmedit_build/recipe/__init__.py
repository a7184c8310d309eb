"""Recipes: what a benchmark is built from and how, as typed objects that refuse unknown keys."""

from __future__ import annotations

from pydantic import Field

from mmedit_build.recipe.fields import Strict
from mmedit_build.recipe.models import Endpoint, Local, Model, Price
from mmedit_build.recipe.sources import (
    CaptionFiles,
    CaptionSource,
    Draw,
    FactFile,
    FactSource,
    HubCaptions,
    HubFacts,
    HubQuestions,
    QuestionFiles,
    QuestionSource,
    Sources,
)
from mmedit_build.recipe.stages import (
    AttachStage,
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
    Similarity,
    Sizes,
)


class Recipe(Strict):
    """Everything about one benchmark."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Of the work folder and of the dataset."""
    about: str
    """One sentence for people."""
    seed: str = "0"
    """Decides on splits, samples and images."""
    draw: Draw | None = None
    """Left out, no sources are drawn."""
    base: Model
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
    publish: PublishStage
    """Stage 5."""


__all__ = [
    "AttachStage",
    "CaptionFiles",
    "CaptionSource",
    "Draw",
    "Endpoint",
    "FactFile",
    "FactSource",
    "HubCaptions",
    "HubFacts",
    "HubQuestions",
    "ImagineStage",
    "Inversion",
    "License",
    "Local",
    "MineCaption",
    "MineStage",
    "MineVqa",
    "Model",
    "Price",
    "PublishStage",
    "QuestionFiles",
    "QuestionSource",
    "Quiz",
    "Recipe",
    "RephraseStage",
    "Resemblance",
    "Similarity",
    "Sizes",
    "Sources",
]
