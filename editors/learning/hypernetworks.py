"""Editors whose network turns the gradient of an edit into a change of weights, of low rank."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn

from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.exercise import Data
from editors.learning.gradients import OuterProducts, gradients
from editors.learning.seeing import seeing_gradients
from editors.learning.training import Learning, Report, TrainingConfig, check_enough, seeded
from editors.learning.training import train as learn
from editors.patches.weights import LowRankPatch, folded, together
from editors.portions import portions
from mmedit_build.mllm import MLLM, Below, Query

CHUNK = 16
"""Edits whose gradients are computed at a time, if there is room."""

NETWORK_BYTES = 2**28
"""How much of what a network is told of edits it goes through at a time; it holds some copies of it."""

EditedPart = Literal["language", "connector", "vision"]
Shapes = Mapping[str, tuple[int, int]]
"""(out, in) of each edited weight by name, from the lowest layer up."""


class HypernetworkConfig(TrainingConfig):
    """What is edited, and how the network is trained."""

    part: EditedPart = "language"
    """What is edited: MLPs of the language model, or what images go through before it. Of the connector these
    are the output projections of the last layers, of vision the MLPs of the tower's last layers."""
    layers: tuple[int, ...] = (-3, -2, -1)
    """Layers of the language model whose MLPs are edited, both matrices of each; negative ones count from the
    end. Other parts have layers of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """What a network is told of an edit."""

    gradient: Mapping[str, OuterProducts]
    """By the name of the weight."""
    condition: tuple[int, ...] = ()
    """Its text as token ids, for networks that read one."""

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self.gradient.values())


class Hypernetwork(nn.Module, ABC):
    """Makes a patch for each edit, differentiably."""

    @abstractmethod
    def forward(self, edits: Sequence[Inner]) -> list[LowRankPatch]: ...


class HypernetworkEditor(ABC):
    """Plans with a network that it has learned or taken up."""

    Config: ClassVar[type[HypernetworkConfig]]
    family: ClassVar[MethodFamily] = "meta-learning"
    touches: ClassVar[str] = "some MLPs, or a part"
    batch: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, str]] = {part: part for part in get_args(EditedPart)}

    def __init__(self, config: Any) -> None:
        self.config = config
        self._network: Hypernetwork | None = None
        self._report = Report()

    @abstractmethod
    def make_network(self, mllm: MLLM, shapes: Shapes) -> Hypernetwork:
        """A new network for weights of these names and shapes."""

    @abstractmethod
    def make_learning(self, mllm: MLLM, network: Hypernetwork, data: Data) -> Learning:
        """What the training loop is given."""

    def edited(self, mllm: MLLM) -> Shapes:
        """The weights that are edited."""
        return edited(mllm, self.config.layers, self.config.part)

    def told(self, mllm: MLLM, queries: Sequence[Query]) -> list[Inner]:
        """What the network is told of edits, whose queries may be known up to the first edited layer."""
        weights = list(self.edited(mllm))
        at = gradients if self.config.part == "language" else seeing_gradients
        lengths = [row.length for row in mllm.rows(queries)]
        layer = queries.layer if isinstance(queries, Below) else 0
        parts = [queries[one.start : one.stop] for one in portions(mllm, lengths, layer, CHUNK)]
        return [Inner(gradient) for part in parts for gradient in at(mllm, part, weights)]

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return int(self.config.steps)

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
        network = self._new(mllm)
        learning = self.make_learning(mllm, network, (train, validation))
        self._report = learn(learning, self.config, work=work, advance=advance)
        self._network = network

    def fitted(self) -> State:
        return State(self._known().state_dict(), {"training": asdict(self._report)})

    def restore(self, mllm: MLLM, state: State) -> None:
        network = self._new(mllm)
        network.load_state_dict(dict(state.tensors))
        network.eval()
        self._network = network

    def _new(self, mllm: MLLM) -> Hypernetwork:
        # Made on the CPU, so that a seed means the same everywhere.
        with seeded(self.config.seed):
            network = self.make_network(mllm, self.edited(mllm))
        return network.to(mllm.device)

    def _known(self) -> Hypernetwork:
        if self._network is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._network

    # Planning

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self.edited(mllm))

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        return self.plan_each(model, [edits], unwrapped(model).below)[0]

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[LowRankPatch]:
        mllm = unwrapped(model)
        network, layer = self._known(), self.begins(mllm)
        queries: Sequence[Query] = [edit.query for edits in wishes for edit in edits]
        if layer is not None:
            queries = lift(queries, layer)
        with torch.no_grad():
            told = self.told(mllm, queries)
            patches = iter([patch for part in _fitting(told) for patch in network(part)])
        return [together([next(patches) for _ in edits]) for edits in wishes]

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> LowRankPatch:
        """The sum with what the network makes of these edits, from gradients of the model as it was."""
        assert isinstance(made.patch, LowRankPatch)
        return folded(together([made.patch, self.plan(model, edits)]))


def _fitting(told: Sequence[Inner]) -> Iterator[Sequence[Inner]]:
    """What a network is told of edits, in portions that it has room for."""
    start, size = 0, 0
    for end, one in enumerate(told):
        if end > start and size + one.nbytes > NETWORK_BYTES:
            yield told[start:end]
            start, size = end, 0
        size += one.nbytes
    yield told[start:]


def edited(mllm: MLLM, layers: Sequence[int], part: EditedPart = "language") -> dict[str, tuple[int, int]]:
    """The weights of the MLPs of these layers, or of another part those that the model's family names."""
    if part == "language":
        mlps = {mllm.layer_index(layer): mllm.mlp(layer) for layer in layers}
        linears = [linear for _, mlp in sorted(mlps.items()) for linear in (mlp.up, mlp.down)]
    else:
        linears = mllm.seeing_linears(part)
    return {
        f"{linear.name}.weight": (linear.module.out_features, linear.module.in_features) for linear in linears
    }
