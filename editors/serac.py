"""SERAC: edits are kept as text, a classifier finds what is in their scope, and a small model answers that.

Mitchell et al., "Memory-Based Model Editing at Scale" (arXiv 2206.06520), on multimodal models as in MMEdit.
A query is in scope if exp(-d^2) > 0.5, where d is the distance of its vector to that of the nearest edit; the
counterfactual model then gets "{edit's prompt} {target} {query}" in the place of the query.

Differences from MMEdit's code: the classifier does not see answers (see `router`), of an edit neither, where
SERAC's own code shows it the edit's prompt and answer with marks between them; what the counterfactual model
sees of the image is what the base model sees (for BLIP-2 2,560 numbers at each position, in MMEdit's code the
Q-Former's 768), by way of a projection that is trained and kept, where the published one is random and never
trained; the counterfactual model learns where an answer ends, as free answers need; several edits are
looked at together; the learning rate falls; dropout is off, so that runs repeat; no hard negatives are looked
for; the best of the checkpoints is kept.

MMEdit's numbers for BLIP-2 OPT: classifier distilbert-base-cased, counterfactual facebook/opt-125m, objective
mixture, mixing soft, router leaking, negatives [text], lr 1e-5 throughout, 50,000 batches of one edit (15,000
in the paper).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

from editors.base import Edit, Lift, Model, State, TrainEdit
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.training import Report, check_enough, seeded
from editors.learning.training import train as learn
from editors.memory.config import SERACConfig, SERACImageConfig
from editors.memory.counterfactual import Counterfactual
from editors.memory.memories import remember
from editors.memory.patch import MemoryPatch, join_states, split_state
from editors.memory.scope import Scope
from editors.memory.teaching import Learned, ScopedEdit, Teaching
from editors.under import mllm_of
from mmedit_build.mllm import MLLM


class SERAC:
    """Semi-parametric editing with a retrieval-augmented counterfactual model."""

    Config: ClassVar[type[SERACConfig]] = SERACConfig
    family: ClassVar[MethodFamily] = "memory"
    touches: ClassVar[str] = "nothing (routes elsewhere)"
    batch: ClassVar[bool] = True

    def __init__(self, config: SERACConfig) -> None:
        self.config = config
        self._learned: Learned | None = None
        self._report = Report()

    @property
    def leaks(self) -> bool:
        return self.config.router == "leaking"

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return self.config.steps

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],
        *,
        work: Path,
        advance: Callable[[int], None],
    ) -> None:
        check_enough(train, validation)
        learned = self._new(mllm)
        scoped, held = ([self._scoped(mllm, one) for one in part] for part in (train, validation))
        teaching = Teaching(self.config, mllm, learned, scoped, held)
        self._report = learn(teaching, self.config, work=work, advance=advance)
        self._learned = learned.requires_grad_(False)

    def _new(self, mllm: MLLM) -> Learned:
        config = self.config
        # Made on the CPU, so that a seed means the same everywhere.
        with seeded(config.seed):
            scope = Scope.load(config.classifier, mllm, images=config.images)
            counterfactual = Counterfactual.load(config.counterfactual, mllm, config.layers)
        return Learned(scope, counterfactual).to(mllm.device)

    def _scoped(self, mllm: MLLM, one: TrainEdit) -> ScopedEdit:
        config = self.config
        (memory,) = remember(mllm, [one.edit.query], config.router, images=config.images)
        inside = tuple(query for query in (one.text_rephrase, one.image_rephrase) if query is not None)
        outside = (("text", one.text_locality), ("image", one.image_locality))
        kept = (query for kind, queries in outside if kind in config.negatives for query in queries)
        return ScopedEdit(memory, inside or (one.edit.query,), tuple(kept))

    def fitted(self) -> State:
        learned = self._known()
        state = join_states(learned.scope, learned.counterfactual)
        return replace(state, fields={**state.fields, "training": asdict(self._report)})

    def restore(self, mllm: MLLM, state: State) -> None:
        self._learned = Learned(*split_state(state)).to(mllm.device).requires_grad_(False)

    def _known(self) -> Learned:
        if self._learned is None:
            raise ValueError("SERAC has to be fitted, or restored, before it plans")
        return self._learned

    # Planning

    def begins(self, mllm: MLLM) -> int:
        return mllm.n_layers

    def plan(self, model: Model, edits: Sequence[Edit]) -> MemoryPatch:
        return self._remembering(model, [edits])[0]

    def plan_each(
        self,
        model: Model,
        wishes: Sequence[Sequence[Edit]],
        lift: Lift,  # noqa: ARG002  # no layer is asked
    ) -> list[MemoryPatch]:
        return self._remembering(model, wishes)

    def _remembering(self, model: Model, wishes: Sequence[Sequence[Edit]]) -> list[MemoryPatch]:
        learned, config = self._known(), self.config
        queries = [edit.query for edits in wishes for edit in edits]
        # As queries are looked at when the patch is applied: by what the user asks, and what the MLLM sees.
        memories = iter(remember(mllm_of(model), queries, config.router, images=config.images))
        models = learned.scope, learned.counterfactual
        return [
            MemoryPatch(tuple(next(memories) for _ in edits), *models, config.router, config.mixing)
            for edits in wishes
        ]

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> MemoryPatch:
        """The memories of the edits join the others."""
        assert isinstance(made.patch, MemoryPatch)
        further = self.plan(model, edits).memories
        return replace(made.patch, memories=(*made.patch.memories, *further))


class SERACImage(SERAC):
    """SERAC that tells an edit's image from others."""

    Config = SERACImageConfig
