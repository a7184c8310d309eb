"""SERAC's memories: edits as they are remembered, and how two models' answers are mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from editors.memory.scope import Place, places
from mmedit_build.mllm import MLLM, Query, Scored

Router = Literal["prompt", "leaking"]
Mixing = Literal["hard", "soft"]
EPSILON = torch.finfo(torch.float32).eps
"""What is added to mixed probabilities, so that none of them is 0; a smaller share changes nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """An edit as it is remembered."""

    prompt: str
    target: str
    place: Place

    def before(self, prompt: str) -> str:
        """The prompt after the edit, for the counterfactual model."""
        return f"{joined(self.prompt, self.target)} {prompt}"


def joined(prompt: str, target: str) -> str:
    """Prompt and target as one text."""
    return prompt + (target if target[0].isspace() else f" {target}")


def remember(mllm: MLLM, queries: Sequence[Query], router: Router, *, images: bool) -> list[Memory]:
    """Edits, given as queries with their targets."""
    where = look(mllm, queries, router, images=images)
    return [Memory(query.prompt, query.target, place) for query, place in zip(queries, where, strict=True)]


def look(mllm: MLLM, queries: Sequence[Query], router: Router, *, images: bool) -> list[Place]:
    """What the classifier is shown of queries: their prompts, and if it is leaking the answers too."""
    leaks = router == "leaking"
    texts = [joined(one.prompt, one.target) if leaks and one.target else one.prompt for one in queries]
    return places(mllm, queries, texts, images=images)


def mixed(base: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """log((1 - s) p_base + s p_other + eps), from logits (..., vocabulary)."""
    probabilities = (1 - share) * base.softmax(dim=-1) + share * other.softmax(dim=-1)
    return (probabilities + EPSILON).log()


def mix(base: Scored, other: Scored, share: Tensor) -> Scored:
    """Both models' answers as one, matched at their last positions."""
    length = min(len(base.logits), len(other.logits))
    logits = mixed(base.logits[-length:], other.logits[-length:], share) if length else base.logits
    return replace(base, logits=logits, first=base.first - (len(base.logits) - length))
