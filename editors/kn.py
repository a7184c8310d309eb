"""KN: the neurons that the old answer is due to are found, and made to speak for the new one.

Dai et al., "Knowledge Neurons in Pretrained Transformers" (arXiv 2104.08696), on multimodal models. Neurons
are inputs of the linear modules that lead out of the MLPs of the language model, and what they say is looked
at where the answer is predicted, after image and prompt. The neurons that the old answer is due to are found
for the prompt in several forms; those found in a large share of them are kept. Each column of theirs then
changes by -old_weight E[old] + new_weight E[new], where E is the sum of the input embeddings of the tokens.

Differences: the old answer is what the model itself writes, as an edit does not say it (the Eleuther code
does so too); the prompt's forms stand in for the paraphrases of ParaRel; enhancing and suppressing act
wherever an answer is predicted, in the published code at the last position alone. The share of forms is set
as in the paper, where 2 to 5 neurons shall remain on average: `fit` does that on train edits.

Published numbers: threshold 0.2, 20 steps, the share from 0.7 in steps of 0.05, old_weight 1 and new_weight 8
(paper, for BERT); threshold 0.3, 20 inclusive steps, share 0.5, both weights 2 (the Eleuther code); threshold
0.2, no refinement (the baseline of ROME). With new_weight 8 a small model says nothing but the new answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from editors.base import Edit, State, TrainEdit
from editors.families import MethodFamily
from editors.neurons.attribution import Kind, Place, Rule, attributions, coarse, path, refined
from editors.neurons.patches import ColumnPatch, ScaledNeurons
from editors.neurons.rewordings import FORMS, Forms, reworded
from editors.patches.weights import Factors
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Count, Share, Strict

START, STEP = 0.7, 0.05
"""Where the search for the share starts, and how far it goes at a time."""
FEW, MANY = 2, 5
"""How many neurons shall remain on average."""
NEW_TOKENS = 16
"""As long as an old answer may be."""


class KNConfig(Strict):
    """As the paper, in fewer steps and not to the end of long answers; with the weights of the code."""

    mode: Literal["edit", "erase", "suppress", "enhance"] = "edit"
    """What becomes of the neurons: edit puts the new answer in the place of the old one, erase takes their
    columns away; suppress and enhance multiply their activations by 0 and by 2."""
    threshold: float = Field(default=0.2, ge=0)
    """A neuron counts for a form of the prompt if its score is higher."""
    threshold_of: Kind = "share"
    """share: of the highest score; fixed: of the score itself; percentile: of its rank, in percent."""
    share: Share | None = None
    """A neuron is kept if it counts for a larger share of the forms; by default fit finds the share."""
    forms: Forms = FORMS
    """The forms of the prompt, with {prompt} or {question} in the place of the prompt or bare question."""
    steps: Count = 5
    """How many gradients are taken on the way from no activation to the one there is."""
    rule: Rule = "right"
    """right takes them at the end of each step, inclusive at both ends of the way, as the Eleuther code."""
    tokens: Count = 2
    """How many tokens of the old answer are explained; the scores are the mean."""
    old_weight: float = 2.0
    """How much of the old answer's embedding is taken off."""
    new_weight: float = 2.0
    """How much of the new answer's is put on."""
    sample: Count = 12
    """On how many train edits fit looks for the share."""


class KN:
    """Knowledge neurons."""

    Config: ClassVar[type[KNConfig]] = KNConfig
    family: ClassVar[MethodFamily] = "locate and edit"
    touches: ClassVar[str] = "neurons of MLPs"
    batch: ClassVar[bool] = True

    def __init__(self, config: KNConfig) -> None:
        self.config = config
        self._share: float | None = None

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return 0 if self.config.share is not None else min(self.config.sample, len(train))

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # one number is not overfitted
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        if self.config.share is not None:
            self._share = self.config.share
            return
        edits = [one.edit for one in train[: self.config.sample]]
        answers = mllm.generate([edit.query for edit in edits], max_new_tokens=NEW_TOKENS)
        found = []
        for edit, old in zip(edits, answers, strict=True):
            found.append(self._sets(mllm, edit, old))
            advance(1)
        self._share = share_leaving([sets for sets in found if sets])

    def fitted(self) -> State:
        return State(fields={"share": self._known()})

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # needs no model
        self._share = float(str(state.fields["share"]))

    def _known(self) -> float:
        if self._share is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._share

    # Planning

    def plan(self, mllm: MLLM, edits: Sequence[Edit]) -> ColumnPatch | ScaledNeurons:
        answers = mllm.generate([edit.query for edit in edits], max_new_tokens=NEW_TOKENS)
        found = [self.neurons(mllm, *pair) for pair in zip(edits, answers, strict=True)]
        together = {place for places in found for place in places}
        if self.config.mode in {"suppress", "enhance"}:
            return ScaledNeurons(_by_module(mllm, together), 0.0 if self.config.mode == "suppress" else 2.0)
        if self.config.mode == "erase":
            return column_patch(mllm, {place: -_column(mllm, place) for place in together})
        changes: dict[Place, Tensor] = {}
        for edit, old, places in zip(edits, answers, found, strict=True):
            change = self._change(mllm, old, edit.target)
            for place in places:
                changes[place] = changes[place] + change if place in changes else change
        return column_patch(mllm, changes)

    def neurons(self, mllm: MLLM, edit: Edit, old: str) -> list[Place]:
        """The neurons (layer, number) that an answer to the edit's prompt is due to."""
        share = self._known() if self.config.share is None else self.config.share
        return refined(self._sets(mllm, edit, old), share)

    def _sets(self, mllm: MLLM, edit: Edit, old: str) -> list[set[Place]]:
        """The neurons found for each form; none at all where the model says nothing."""
        if not old:
            return []
        config = self.config
        queries = reworded(mllm, edit, config.forms, old)
        scores = attributions(mllm, queries, path(config.steps, config.rule), config.tokens)
        return [coarse(one, config.threshold, config.threshold_of) for one in scores]

    def _change(self, mllm: MLLM, old: str, new: str) -> Tensor:
        """What is put on each column of an edit: (out,)."""
        old_sum, new_sum = (embedded(mllm, text) for text in (old, new))
        return self.config.new_weight * new_sum - self.config.old_weight * old_sum


def share_leaving(found: Sequence[Sequence[set[Place]]]) -> float:
    """The share that leaves a few neurons of each fact on average, going from START one way or the other."""

    def left(tick: int) -> float:
        return fmean([len(refined(sets, tick * STEP)) for sets in found] or [FEW])

    tick, last = round(START / STEP), round(1 / STEP) - 1
    while left(tick) < FEW and tick > 0:
        tick -= 1
    while left(tick) > MANY and tick < last and left(tick + 1) >= FEW:
        tick += 1
    return tick * STEP


def embedded(mllm: MLLM, text: str) -> Tensor:
    """The sum of the input embeddings of a text's tokens, as they stand in an answer."""
    words = text if text[:1].isspace() else f" {text}"
    ids = mllm.tokenizer(words, add_special_tokens=False)["input_ids"]
    return mllm.embed_tokens.weight.detach()[torch.tensor(ids, device=mllm.device)].sum(dim=0)


def column_patch(mllm: MLLM, changes: dict[Place, Tensor]) -> ColumnPatch:
    """Changes of columns as a patch of as many ranks as there are columns in each weight."""
    factors = {}
    for layer in sorted({layer for layer, _ in changes}):
        down = mllm.mlp(layer).down
        numbers = sorted(number for of, number in changes if of == layer)
        left = torch.stack([changes[layer, number] for number in numbers], dim=1)
        right = left.new_zeros(len(numbers), down.module.in_features)
        right[range(len(numbers)), numbers] = 1
        factors[f"{down.name}.weight"] = Factors(left, right)
    return ColumnPatch(factors)


def _by_module(mllm: MLLM, places: Iterable[Place]) -> dict[str, Tensor]:
    numbers: dict[str, list[int]] = {}
    for layer, number in sorted(places):
        numbers.setdefault(mllm.mlp(layer).down.name, []).append(number)
    return {name: torch.tensor(of) for name, of in numbers.items()}


def _column(mllm: MLLM, place: Place) -> Tensor:
    return mllm.mlp(place[0]).down.module.weight.detach()[:, place[1]]
