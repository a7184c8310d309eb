"""What VisEdit and DualEdit have in common to set."""

from __future__ import annotations

from pydantic import PositiveFloat

from editors.learning.training import TrainingConfig
from mmedit_build.recipe.fields import Count


class AdaptorConfig(TrainingConfig):
    """Numbers for small models; those published are in the modules' texts."""

    steps: Count = 600
    """The most updates that are made."""
    batch_size: Count = 8
    """Edits that are looked at together, each told to its own queries."""
    patience: Count = 200
    """Updates without a better validation after which training stops; the best one is kept."""
    lr: PositiveFloat = 1e-3
    """Learning rate of Adam."""
    middle: Count = 64
    """How wide the adaptors are inside."""
    heads: Count = 4
    """Of the attention to the edit; they share the width."""
