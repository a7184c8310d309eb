"""The options of M-ORE and ScopeEdit."""

from __future__ import annotations

from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from mmedit_build.recipe.fields import Count, Strict


class RecursiveConfig(Strict):
    """Numbers for small models; those published are in the text of `editors.more`."""

    layers: tuple[int, ...] = Field(default=(-3, -2, -1), min_length=1)
    """The decoder layers both matrices of whose MLPs may be edited; negative ones count from the end."""
    projector: bool = True
    """Whether the linear modules between vision tower, or Q-Former, and language model may be edited, too."""
    groups: Count = 4
    """How many groups, each decoder layer and the projector being one, a step moves: those of the largest
    gradients."""
    rank: Count = 64
    """Of what is added to each weight; never more than it has inputs."""
    alpha: PositiveFloat = 128.0
    """What is added is multiplied by alpha / rank."""
    steps: Count = 5
    """Of each edit."""
    eta: float = Field(default=0.1, ge=0)
    """How large they are."""
    projector_eta: float = Field(default=1e-3, ge=0)
    """How large they are in the projector."""
    ridge: PositiveFloat = 1.0
    """Lambda: how little a key keeps later steps from where it lies."""
    locality: int = Field(default=1, ge=0)
    """Questions of the train split, of either sort (with an image or without), whose keys are kept from later
    edits after each edit."""
    known: Count = 50
    """Train questions of either sort whose keys are looked at for that."""
    shared: int = Field(default=0, ge=0)
    """How many of the ranks text and image share behind a gate; 0 is M-ORE."""
    shared_eta: float = Field(default=0.5, ge=0)
    """How large their steps are."""
    shared_ridge: PositiveFloat = 1.0
    """Their lambda."""
    sharing_groups: Count = 3
    """How many of the groups that move, without the projector, may write what is shared."""
    threshold: float = 0.2
    """The cosine of the keys of text and image at which the gate is half open."""
    slope: float = 10.0
    """How sharply it opens there."""
    seed: int = 0
    """Decides about the bases and about the train questions."""

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.shared >= self.rank:
            raise ValueError(f"of {self.rank} ranks {self.shared} cannot be shared, as none would be left")
        return self
