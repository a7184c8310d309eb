"""KN: the neurons that the old answer is due to are found, and made to speak for the new one.

Dai et al., "Knowledge Neurons in Pretrained Transformers" (arXiv 2104.08696), on multimodal models. Neurons
are inputs of the linear modules that lead out of the MLPs of the language model, and what they say is looked
at where the answer is predicted, after image and prompt. The neurons that the old answer is due to are found
for the prompt in several forms; those found in a large share of them are kept. Each column of theirs then
changes by -old_weight E[old] + new_weight E[new], where E is the sum of the input embeddings of the tokens.

Differences: the old answer is what the model itself writes, as an edit does not say it (the Eleuther code
does so too); the prompt's forms stand in for the paraphrases of ParaRel; enhancing and suppressing act
wherever an answer is predicted, in the published code at the last position alone; gradients are looked at
where the paper says, at the end of each step, and in its code at the beginning. The share of forms is set as
in the paper, where 2 to 5 neurons shall remain on average: `fit` does that on train edits, and goes on until
it is so, where the paper's code makes six steps at most. `common` compares train edits of all sorts, in that
code the facts of one relation.

Published: threshold 0.2, 20 steps, the share from 0.7 in steps of 0.05, weights 1 and 8 of embeddings brought
to the column's length (`relative`), `agreement: enough`, `common` 0.1 (the paper's code, for BERT); threshold
0.3, 20 inclusive steps, share 0.5, both weights 2 of embeddings as they are (the Eleuther code); threshold
0.2, no refinement (the baseline of ROME).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from editors.base import Edit, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.growing import Made
from editors.neurons.attribution import Rule, attributions, path
from editors.neurons.choosing import Agreement, Kind, Place, coarse, common, refined, share_leaving
from editors.neurons.columns import changes_of, column_patch, summed
from editors.neurons.patches import ColumnPatch, ScaledNeurons
from editors.neurons.rewordings import FORMS, Forms, reworded
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.tokenizing import answer_ids
from mmedit_build.recipe.fields import Count, Share, Strict

NEW_TOKENS = 16
"""As long as an old answer may be."""


class KNConfig(Strict):
    """As the paper, in fewer steps and not to the end of long answers, and with Eleuther's weights."""

    mode: Literal["edit", "erase", "suppress", "enhance"] = "edit"
    """What becomes of the neurons: edit puts the new answer in the place of the old one, erase takes their
    columns away; suppress and enhance multiply their activations by 0 and by 2."""
    threshold: float = Field(default=0.2, ge=0)
    """A neuron counts for a form of the prompt if its score is higher."""
    threshold_of: Kind = "share"
    """share: of the highest score; fixed: of the score itself; percentile: of its rank, in percent."""
    share: Share | None = None
    """A neuron is kept if it counts for so large a share of the forms; by default fit finds the share."""
    agreement: Agreement = "more"
    """more: it has to count for more than the share, as in the Eleuther code; enough: for the share or more,
    and for three forms at least, as in the paper's code."""
    common: Share | None = None
    """Neurons that more than this share of the sampled train edits have are left as they are, since they are
    not about a single fact; by default none are."""
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
    relative: bool = False
    """Whether the embeddings are first brought to the length of the column, as in the paper's code."""
    sample: Count = 12
    """On how many train edits fit looks for the share and for common neurons."""

    @property
    def learns(self) -> bool:
        """Whether anything is to be found on train edits."""
        return self.share is None or self.common is not None


@dataclass(frozen=True, slots=True)
class _Learned:
    """What was found on train edits."""

    share: float
    common: tuple[Place, ...] = ()


class KN:
    """Knowledge neurons."""

    Config: ClassVar[type[KNConfig]] = KNConfig
    family: ClassVar[MethodFamily] = "locate and edit"
    touches: ClassVar[str] = "neurons of MLPs"
    batch: ClassVar[bool] = True

    def __init__(self, config: KNConfig) -> None:
        self.config = config
        self._learned: _Learned | None = None

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return min(self.config.sample, len(train)) if self.config.learns else 0

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # a few numbers are not overfitted
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        config = self.config
        if not config.learns:
            self._learned = self._told()
            return
        edits = [one.edit for one in train[: config.sample]]
        answers = mllm.generate([edit.query for edit in edits], max_new_tokens=NEW_TOKENS)
        found = []
        for edit, old in zip(edits, answers, strict=True):
            found.append(self._sets(mllm, edit, old))
            advance(1)
        found = [sets for sets in found if sets]
        share = share_leaving(found, config.agreement) if config.share is None else config.share
        kept = [refined(sets, share, config.agreement) for sets in found]
        self._learned = _Learned(share, () if config.common is None else tuple(common(kept, config.common)))

    def fitted(self) -> State:
        known = self._known()
        return State(fields={"share": known.share, "common": known.common})

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # needs no model
        places = cast("Sequence[Any]", state.fields["common"])
        self._learned = _Learned(
            float(str(state.fields["share"])), tuple((int(a), int(b)) for a, b in places)
        )

    def _known(self) -> _Learned:
        if self._learned is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._learned

    def _told(self) -> _Learned:
        """What the options say of it."""
        return _Learned(self.config.share or 0.0)

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> ColumnPatch | ScaledNeurons:
        mllm = unwrapped(model)
        answers = mllm.generate([edit.query for edit in edits], max_new_tokens=NEW_TOKENS)
        found = [self.neurons(mllm, *pair) for pair in zip(edits, answers, strict=True)]
        together = {place for places in found for place in places}
        if self.config.mode in {"suppress", "enhance"}:
            return ScaledNeurons(_by_module(mllm, together), 0.0 if self.config.mode == "suppress" else 2.0)
        if self.config.mode == "erase":
            return column_patch(mllm, {place: -_column(mllm, place) for place in together})
        changes: dict[Place, Tensor] = {}
        for edit, old, places in zip(edits, answers, found, strict=True):
            said = embedded(mllm, old), embedded(mllm, edit.target)
            for place in places:
                change = self._change(_column(mllm, place), *said)
                changes[place] = changes[place] + change if place in changes else change
        return column_patch(mllm, changes)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> ColumnPatch | ScaledNeurons:
        """The sum of what the columns change by; other modes act once on neurons of any of the edits."""
        if self.config.mode != "edit":
            return self.plan(model, [*made.edits, *edits])
        mllm = unwrapped(model)
        both = [changes_of(mllm, patch) for patch in (made.patch, self.plan(model, edits))]
        return column_patch(mllm, summed(*both))

    def neurons(self, mllm: MLLM, edit: Edit, old: str) -> list[Place]:
        """The neurons (layer, number) that an answer to the edit's prompt is due to."""
        known = self._known() if self.config.learns else self._told()
        found = refined(self._sets(mllm, edit, old), known.share, self.config.agreement)
        return [place for place in found if place not in known.common]

    def _sets(self, mllm: MLLM, edit: Edit, old: str) -> list[set[Place]]:
        """The neurons found for each form; none at all where the model says nothing."""
        if not old:
            return []
        config = self.config
        queries = reworded(mllm, edit, config.forms, old)
        scores = attributions(mllm, queries, path(config.steps, config.rule), config.tokens)
        return [coarse(one, config.threshold, config.threshold_of) for one in scores]

    def _change(self, column: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """What is put on a column, for the embeddings of the answers: (out,)."""
        if self.config.relative:
            old, new = (column.norm() / one.norm() * one for one in (old, new))
        return self.config.new_weight * new - self.config.old_weight * old


def embedded(mllm: MLLM, text: str) -> Tensor:
    """The sum of the input embeddings of a text's tokens, as they stand in an answer."""
    (ids,) = answer_ids(mllm.tokenizer, [text], [""])
    # By the module, as some models scale what they embed.
    with torch.no_grad():
        found: Tensor = mllm.embed_tokens(torch.tensor(ids, dtype=torch.long, device=mllm.device)).sum(dim=0)
    return found


def _by_module(mllm: MLLM, places: Iterable[Place]) -> dict[str, Tensor]:
    numbers: dict[str, list[int]] = {}
    for layer, number in sorted(places):
        numbers.setdefault(mllm.mlp(layer).down.name, []).append(number)
    return {name: torch.tensor(of) for name, of in numbers.items()}


def _column(mllm: MLLM, place: Place) -> Tensor:
    return mllm.mlp(place[0]).down.module.weight.detach()[:, place[1]]
