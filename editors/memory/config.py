"""SERAC's options."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from editors.learning.training import TrainingConfig
from editors.memory.counterfactual import BASE
from editors.memory.memories import Mixing, Router
from mmedit_build.recipe.fields import Count

Negative = Literal["text", "image", "others"]


class SERACConfig(TrainingConfig):
    """Numbers for small models, trained with supervision; those published are in the module's text."""

    classifier: str = BASE
    """What compares queries with edits: a folder or id of a text encoder such as distilbert-base-cased, or
    `base` for a small one that starts from the model's own token embeddings."""
    counterfactual: str = BASE
    """What answers in scope: a folder or id of a language model with the same tokens, such as
    facebook/opt-125m for OPT, or `base` for the first layers of the model's own."""
    layers: Count = 6
    """How many layers that is at most."""
    router: Router = "prompt"
    """prompt shows the classifier prompts only; leaking also the answers scored, as MMEdit's code does, which
    tables mark."""
    images: bool = False
    """Whether images join the decision; if not, an edit's question is in its scope on every image."""
    mixing: Mixing = "hard"
    """hard takes one model's answer, soft the mean of both weighed by similarity, as MMEdit's code."""
    objective: Literal["supervised", "mixture"] = "supervised"
    """supervised tells classifier and counterfactual model apart what is right; mixture teaches both by what
    they answer together, as MMEdit's code."""
    negatives: tuple[Negative, ...] = ("text",)
    """What training shows as out of scope: text locality, image locality, and (supervised only) whatever
    belongs to other edits. MMEdit's loss has text locality alone, so questions about images are all alike."""
    edit_weight: PositiveFloat = 0.1
    """How much answers in scope count; scope or locality counts 1."""
    exchange: float = Field(default=1.0, ge=0, le=1)
    """How often, in supervised training, an edit is told with the answer of another one: the counterfactual
    model shall repeat what it is told, whatever that is."""
    batch_size: Count = 5
    """Edits that are looked at together."""
    lr: PositiveFloat = 5e-4
    """Learning rate of Adam at the start."""
    lr_falls: bool = True
    """Whether it falls in a straight line, to nothing after the last of the steps."""
    steps: Count = 250
    """The most updates that are made."""
    patience: Count = 250
    """Updates without a better validation after which training stops; the best one is kept."""


class SERACImageConfig(SERACConfig):
    """A scope that looks at images, and training that shows all there is out of scope."""

    images: bool = True
    """As in SERAC."""
    negatives: tuple[Negative, ...] = ("text", "image", "others")
    """As in SERAC."""
