"""What ROME, MEMIT and AlphaEdit have in common: keys, values, and the second moments of keys."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor

from editors.associations.lookup import (
    Contexts,
    Looked,
    Lookup,
    Places,
    look,
    make_contexts,
    places,
    write_prefixes,
)
from editors.associations.moments import (
    Moment,
    Sort,
    draw_contexts,
    in_float64,
    mixed,
    second_moments,
)
from editors.associations.values import ValueConfig
from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Count, Share, Whole

MOMENTS = "moments"
"""The folder, beside those that fits work in, where all editors keep second moments."""


class AssociationConfig(ValueConfig):
    """What edits are learned on, and what they shall disturb least."""

    lookup: Lookup = "subject"
    """Where a fact is looked up: at the last token of its subject (of its prompt where it has none), or
    always at the last token of the prompt."""
    prefixes: tuple[str, ...] | None = None
    """Texts that are put before the prompt, so that the edit holds in other contexts; left out, the model
    writes them."""
    prefix_count: Whole = 3
    """How many texts the model writes."""
    prefix_tokens: Count | Annotated[tuple[Count, ...], Field(min_length=1)] = 5
    """How many tokens each of them has after its first word; of several numbers they take turns."""
    essence: str = "what is this?"
    """The question about the image that shall be answered as before, for edits that have no subject."""
    samples: Count = 1000
    """The most contexts that second moments are taken of: so many without an image, and so many with one."""
    image_share: Share = 0.5
    """How much the contexts with an image count; 0 is as published, for models that see none."""
    seed: int = 0
    """Decides which contexts are taken and which texts are written."""


class AssociationEditor(ABC):
    """An editor that writes keys and values into down-projections."""

    Config: ClassVar[type[AssociationConfig]]
    family: ClassVar[MethodFamily] = "locate and edit"
    touches: ClassVar[str]
    batch: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        self.config = config
        self._prefixes: tuple[str, ...] = ()
        self._kept: dict[int, Tensor] = {}

    @abstractmethod
    def layers(self, mllm: MLLM) -> list[int]:
        """The layers that are changed, counted from the front, the lowest first."""

    @abstractmethod
    def kept(self, mllm: MLLM, layer: int, moment: Moment) -> Tensor:
        """What is kept of the second moments of a layer."""

    @abstractmethod
    def take_up(self, mllm: MLLM, kept: Mapping[int, Tensor]) -> None:
        """Make ready what was kept of each layer."""

    def begins(self, mllm: MLLM) -> int | None:
        return self.layers(mllm)[0]

    @abstractmethod
    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch: ...

    def plan_each(
        self,
        model: Model,
        wishes: Sequence[Sequence[Edit]],
        lift: Lift,  # noqa: ARG002  # most of what is asked are prompts of its own
    ) -> Sequence[LowRankPatch]:
        return self.written(unwrapped(model), wishes)

    @abstractmethod
    def written(self, mllm: MLLM, wishes: Sequence[Sequence[Edit]]) -> Sequence[LowRankPatch]:
        """What the edits of each wish come to, each wish by itself, in the model as it now is."""

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return sum(map(len, self._drawn(train).values()))

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is chosen by it
        *,
        work: Path,
        advance: Callable[[int], None],
    ) -> None:
        found: dict[int, dict[Sort, Moment]] = {layer: {} for layer in self.layers(mllm)}
        for sort, contexts in self._drawn(train).items():
            moments = second_moments(
                mllm, list(found), contexts, cache=work.parent / MOMENTS, advance=advance
            )
            for layer, moment in moments.items():
                found[layer][sort] = moment
        if not all(found.values()):
            raise UserError("There are no train edits to take second moments of: give a train split.")
        self._prefixes = self._texts(mllm)
        mixtures = {layer: mixed(moments, self.config.image_share) for layer, moments in found.items()}
        self._kept = {layer: self.kept(mllm, layer, moment) for layer, moment in mixtures.items()}
        self.take_up(mllm, self._kept)

    def fitted(self) -> State:
        self.check_fitted()
        return State(
            {str(layer): tensor for layer, tensor in self._kept.items()}, {"prefixes": self._prefixes}
        )

    def restore(self, mllm: MLLM, state: State) -> None:
        texts = state.fields["prefixes"]
        self._prefixes = tuple(map(str, texts)) if isinstance(texts, Sequence) else ()
        self._kept = {int(layer): tensor for layer, tensor in state.tensors.items()}
        self.take_up(mllm, self._kept)

    def check_fitted(self) -> None:
        """Refuse to go on with nothing learned."""
        if not self._kept:
            raise ValueError("the editor has to be fitted, or restored, before it plans")

    def _drawn(self, train: Sequence[TrainEdit]) -> dict[Sort, list[Any]]:
        drawn = draw_contexts(train, self.config.samples, self.config.seed)
        return {sort: contexts for sort, contexts in drawn.items() if contexts}

    def _texts(self, mllm: MLLM) -> tuple[str, ...]:
        if self.config.prefixes is not None:
            return tuple(self.config.prefixes)
        tokens = self.config.prefix_tokens
        turns = itertools.cycle((tokens,) if isinstance(tokens, int) else tokens)
        lengths = list(itertools.islice(turns, self.config.prefix_count))
        return tuple(write_prefixes(mllm, lengths, self.config.seed))

    # Planning

    def contexts(self, mllm: MLLM, edits: Sequence[Edit]) -> list[Contexts]:
        """The prompts of each edit."""
        self.check_fitted()
        config = self.config
        return [
            make_contexts(mllm, edit, self._prefixes, lookup=config.lookup, essence=config.essence)
            for edit in edits
        ]


def rewriting(mllm: MLLM, contexts: Sequence[Contexts], layer: int) -> Places:
    """The rewriting prompts of all edits, up to a layer."""
    return places(mllm, [(query, one.subject) for one in contexts for query in one.rewriting], layer)


def look_up(
    mllm: MLLM, contexts: Sequence[Contexts], where: Places, names: Sequence[str]
) -> dict[str, list[Looked]]:
    """What the named modules take in and give out for each edit, one row for each of its prompts."""
    counts = [len(one.rewriting) for one in contexts]
    seen = look(mllm, where, names)
    return {
        name: [
            Looked(*pair)
            for pair in zip(
                in_float64(one.inputs).split(counts), in_float64(one.outputs).split(counts), strict=True
            )
        ]
        for name, one in seen.items()
    }


def as_patch(weight: str, pair: Factors) -> LowRankPatch:
    """Factors found in float64 as a patch in float32."""
    return LowRankPatch({weight: Factors(pair.left.float(), pair.right.float())})
