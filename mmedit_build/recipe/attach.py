"""How edits get what they shall not change."""

from __future__ import annotations

from pydantic import model_validator

from mmedit_build.recipe.fields import Count, Share, Strict, Whole
from mmedit_build.recipe.sources import FactSource, QuestionSource

BY_NEARNESS = ("similar_question", "near_right", "far_right", "near_wrong", "far_wrong")
"""What is found by embeddings."""


class TextEncoder(Strict):
    """What tells how near questions are in meaning."""

    model: str
    """A folder or id of a sentence-transformers checkpoint."""
    revision: str | None = None
    """Commit or tag on the Hub."""


class Neighbors(Strict):
    """What tells how near questions and images are to each other."""

    model: str
    """A CLIP or SigLIP checkpoint, whose embeddings of images, and of questions, are compared."""
    revision: str | None = None
    """Commit or tag on the Hub."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    text: TextEncoder | None = None
    """Embeds the questions; left out, the checkpoint above does."""
    candidates: Count = 20_000
    """The most mined questions that are looked at besides those on images of edits: so many answered right,
    and so many answered wrong. The seed draws them."""


class AttachStage(Strict):
    """Gives each edit questions whose answers it shall not change."""

    text: tuple[FactSource, ...] = ()
    """Pools of far questions without an image."""
    image: tuple[QuestionSource, ...] = ()
    """Pools of far questions about images."""
    text_items: Count = 1
    """Far text items per edit."""
    image_items: Count = 1
    """Far image items per edit."""
    same_image: Whole = 1
    """Near items per edit: another question on its image."""
    same_question: Whole = 1
    """Near items per edit: its question on another image."""
    no_image: bool = False
    """Give each edit its own question without the image."""
    neighbors: Neighbors | None = None
    """Left out, nothing is said of how near items lie, and the five that follow are not to be had."""
    similar_question: Whole = 0
    """Near items per edit: of the other questions on its image, the most similar one."""
    near_right: Whole = 0
    """Near items per edit: a similar question on a similar image, both others than the edit's."""
    far_right: Whole = 0
    """Items per edit: the least similar question and image among what the base model answers right."""
    near_wrong: Whole = 0
    """Per edit, as `near_right`, of what the base model answers wrong: does the edit help there?"""
    far_wrong: Whole = 0
    """Per edit, as `far_right`, of what it answers wrong."""
    only_right: bool = True
    """Take only what the base model answers right."""
    least_agreement: Share = 0.5
    """The share of annotators who must have given the answer of a question about an image."""
    answer_tokens: Count = 16
    """The longest answer in tokens."""
    shard_rows: Count = 512
    """Rows that are worked on and saved together."""

    @model_validator(mode="after")
    def _can_find_neighbors(self) -> AttachStage:
        wanted = [name for name in BY_NEARNESS if getattr(self, name)]
        if wanted and self.neighbors is None:
            raise ValueError(f"{wanted[0]} is found by embeddings; name a checkpoint under neighbors")
        return self
