"""What goes into a model, and what scoring gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from torch import Tensor

from mmedit_build.pictures import Image

Positions = Literal["target", "all"]
"""Where logits are wanted: where the target tokens are predicted, or at every image and text position."""
Form = Literal["turn", "plain"]
"""How a prompt is put to the model: as a whole turn of its user, or as it stands, after the image."""


@dataclass(frozen=True, slots=True)
class Query:
    """A user's text, the image that it is about if there is one, and the target that scoring appends."""

    image: Image | None
    prompt: str
    target: str = ""
    form: Form = "turn"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Teacher-forced logits of one query.

    `logits` (T x V, float32) has one row per position: row t predicts the token after position t. Row `first`
    predicts the first target token; with positions="target" it is row 0 and there are no other rows.
    """

    logits: Tensor
    target_ids: Tensor
    first: int = 0

    @property
    def target_logits(self) -> Tensor:
        """The rows that predict the target tokens, one for each token."""
        return self.logits[self.first : self.first + len(self.target_ids)]

    @property
    def token_log_probs(self) -> Tensor:
        """log p(token | everything before it) for each target token."""
        log_probs = self.target_logits.log_softmax(dim=-1)
        return log_probs.gather(1, self.target_ids[:, None])[:, 0]

    @property
    def log_prob(self) -> Tensor:
        """log p(target | image, prompt): the sum over its tokens."""
        return self.token_log_probs.sum()

    @property
    def argmax(self) -> Tensor:
        """The most likely next token at every position of `logits`."""
        return self.logits.argmax(dim=-1)


@dataclass(frozen=True, slots=True)
class Generated:
    """A text that the model wrote, and the log-probability of each of its tokens."""

    text: str
    token_log_probs: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its tokens; 0 for an empty text."""
        return math.exp(fmean(self.token_log_probs)) if self.token_log_probs else 0.0
