"""LiveEdit: each edit gets an expert of low rank after one layer; images and then words say which ones act.

Chen et al., "Lifelong Knowledge Editing for Vision Language Models with Low-Rank Mixture-of-Experts" (CVPR
2025, arXiv 2411.15432). What leaves a layer when the model is told an edit becomes two matrices of rank 4,
and two features by which the edit is found again. A query takes the experts whose images are more like its
own than a learned prototype is, in view of what is asked, and mixes them by how much their questions are
alike. Both are decided by the prompt alone. Where no expert is near, and without an image, answers stay bit
for bit. An edit that is added changes nothing of those before it, so streams are exact, at a constant cost.

Here what was decided holds for the whole answer. The published code adds to all that it is scored along, but
when it writes, nothing to the tokens after the prompt.

Differences: a margin between experts and prototype is tuned on edits held out (published: 0), as with few
train edits the prototype takes many edits' own queries; the prototype has a fixed number of rows, as the
positions of an image may vary; divergences are KL(before || after) as for all editors here (published: the
other way round); validation looks at all experts of a batch, and the best of the checkpoints is kept; train
edits without an image are left out; the learning rate does not fall (published: to a tenth after 10,000
batches).

Published numbers: after layer 21 of BLIP-2 OPT, LLaVA-1.5 and MiniGPT-4; middle 1024, slots 4, rank 4, heads
8, lr 1e-4, batches of 8, 50 epochs; as many prototype rows as an image has positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from editors.base import Edit, Model, State, TrainEdit, unwrapped
from editors.experts.modules import Experts, Reader, Seen, Writer
from editors.experts.patch import ExpertPatch
from editors.experts.practice import ExpertPractice
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.images import check_images, with_images
from editors.learning.parting import parting
from editors.learning.training import Report, TrainingConfig, check_enough, seeded
from editors.learning.training import train as learn
from editors.patches.layers import device_of, leaving
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query
from mmedit_build.mllm.rows import pad_left
from mmedit_build.recipe.fields import Count


class LiveEditConfig(TrainingConfig):
    """Numbers for small models; those published are in the module's text."""

    steps: Count = 400
    """The most updates that are made."""
    lr: PositiveFloat = 1e-3
    """Learning rate of Adam."""
    layer: int = -3
    """The decoder layer after which experts act; negative ones count from the end."""
    middle: Count = 64
    """How wide features are."""
    slots: Count = 2
    """How many vectors a feature is of."""
    rank: Count = 4
    """Of an expert's matrices."""
    heads: Count = 4
    """Of each attention; they share the width of features, and that of the model."""
    prototype: Count = 64
    """Rows of the image that stands for no edit."""
    margin: float | None = None
    """By how much an expert's image has to be nearer than that one; with less, more experts act. Left out, it
    is tuned on the edits held out; published is 0."""


class LiveEdit:
    """Low-rank experts, found by image and words."""

    Config: ClassVar[type[LiveEditConfig]] = LiveEditConfig
    family: ClassVar[MethodFamily] = "meta-learning"
    touches: ClassVar[str] = "what leaves one layer"
    batch: ClassVar[bool] = True

    def __init__(self, config: LiveEditConfig) -> None:
        self.config = config
        self._learned: tuple[Writer, Reader] | None = None
        self._margin = 0.0
        self._report = Report()

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
        data = with_images(train), with_images(validation)
        check_enough(*data)
        learned, layer = self._new(mllm), mllm.layer_index(self.config.layer)
        practice = ExpertPractice(mllm, layer, learned, self.config, data)
        self._report = learn(practice, self.config, work=work, advance=advance)
        practice.module.requires_grad_(False)
        self._learned = learned
        margin = self.config.margin
        self._margin = self._tuned(mllm, data[1]) if margin is None else margin

    def fitted(self) -> State:
        known = nn.ModuleList(self._known()).state_dict()
        return State(known, {"training": asdict(self._report), "margin": self._margin})

    def restore(self, mllm: MLLM, state: State) -> None:
        learned = self._new(mllm)
        nn.ModuleList(learned).load_state_dict(dict(state.tensors))
        nn.ModuleList(learned).eval().requires_grad_(False)
        self._learned, self._margin = learned, float(str(state.fields["margin"]))

    @torch.no_grad()
    def _tuned(self, mllm: MLLM, validation: Sequence[TrainEdit]) -> float:
        """What parts queries about edits from what shall stay and from what is asked about other edits."""
        experts = Experts.joined(self._written(mllm, [one.edit for one in validation]))
        inside, outside = [], []
        for number, one in enumerate(validation):
            rephrases = [query for query in (one.text_rephrase, one.image_rephrase) if query is not None]
            asked = [self._nearness(mllm, query, experts) for query in (one.edit.query, *rephrases)]
            kept = [self._nearness(mllm, query, experts)[number] for query in one.image_locality]
            inside += [near[number] for near in asked]
            outside += [*kept, *asked[0][:number], *asked[0][number + 1 :]]
        return parting(torch.stack(inside), torch.stack(outside) if outside else torch.zeros(0))

    def _nearness(self, mllm: MLLM, query: Query, experts: Experts) -> Tensor:
        """By how much an image is nearer to those of experts than to the prototype (experts,)."""
        _, reader = self._known()
        return reader.nearness(self._told(mllm, query), experts)[0]

    def _new(self, mllm: MLLM) -> tuple[Writer, Reader]:
        config, width = self.config, mllm.embed_tokens.embedding_dim
        if config.middle % config.heads or width % config.heads:
            raise UserError(
                f"{config.heads} heads cannot share widths of {config.middle} and {width}: give other ones."
            )
        # Made on the CPU, so that a seed means the same everywhere.
        with seeded(config.seed):
            writer = Writer(width, config.middle, config.slots, config.rank, config.heads)
            reader = Reader(width, config.middle, config.slots, config.heads, config.prototype)
        device = device_of(mllm, mllm.layer_index(config.layer))
        return writer.to(device), reader.to(device)

    def _known(self) -> tuple[Writer, Reader]:
        if self._learned is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._learned

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> ExpertPatch:
        mllm = unwrapped(model)
        _, reader = self._known()
        experts = Experts.joined(self._written(mllm, edits))
        return ExpertPatch(mllm.layer_index(self.config.layer), reader, experts, self._margin)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> ExpertPatch:
        """The experts of these edits stand beside those before them."""
        assert isinstance(made.patch, ExpertPatch)
        return made.patch.joined_by(self._written(unwrapped(model), edits))

    @torch.no_grad()
    def _written(self, mllm: MLLM, edits: Sequence[Edit]) -> list[Experts]:
        check_images(edits)
        writer, _ = self._known()
        # Each by itself, so that an edit comes out the same whatever comes with it.
        return [writer(self._told(mllm, edit.query)) for edit in edits]

    def _told(self, mllm: MLLM, query: Query) -> Seen:
        layer = mllm.layer_index(self.config.layer)
        ((states,),) = leaving(mllm, [query], (layer,))
        padded, valid = pad_left([states.float()])
        return Seen.of(Batch([0], mllm.rows([query]), valid), padded)
