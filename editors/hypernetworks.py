"""What editors have in common whose network turns the gradient of an edit into a change of low rank."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from editors.base import Edit, State, TrainEdit
from editors.gradients import Rows, gradients, total
from editors.lessons import Kept, Lesson, Pool
from editors.losses import locality_kl
from editors.side_by_side import SideBySide
from editors.training import Report, TrainingConfig, seeded, train
from editors.weights import Factors, LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Positions, Query, Scored

CHUNK = 16
"""Edits whose gradients are computed at a time."""


class HypernetworkConfig(TrainingConfig):
    """What is edited, and how the network is trained."""

    layers: tuple[int, ...] = (-3, -2, -1)
    """Decoder layers whose MLPs are edited, both matrices of each; negative ones count from the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """What a network is told of an edit."""

    rows: Mapping[str, Rows]
    """Its gradient by the name of the weight."""
    condition: tuple[int, ...] = ()
    """Its text as token ids, for networks that read one."""

    @property
    def nbytes(self) -> int:
        return total(self.rows) + 8 * len(self.condition)


class Hypernetwork(nn.Module, ABC):
    """Makes patches for edits, differentiably."""

    @abstractmethod
    def forward(self, edits: Sequence[Inner]) -> list[LowRankPatch]: ...


class HypernetworkEditor(ABC):
    """Plans with a network that it has learned or taken up."""

    Config: ClassVar[type[HypernetworkConfig]]

    def __init__(self, config: Any) -> None:
        self.config = config
        self._network: Hypernetwork | None = None
        self._report = Report()

    @abstractmethod
    def make_network(self, mllm: MLLM, weights: Sequence[str]) -> Hypernetwork:
        """A new network for the named weights."""

    @abstractmethod
    def make_learning(
        self, mllm: MLLM, network: Hypernetwork, data: tuple[Sequence[TrainEdit], Sequence[TrainEdit]]
    ) -> HypernetworkLearning:
        """What the training loop is given."""

    def inner(self, mllm: MLLM, queries: Sequence[Query], below: Sequence[Query]) -> list[Inner]:
        """What the network is told of edits; `below` are their queries up to the first edited layer."""
        return inner(mllm, below, edited(mllm, self.config.layers))

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
        if not train or not validation:
            raise UserError(f"There are {len(train)} edits to learn from and {len(validation)} to validate on.")
        network = self._new(mllm)
        learning = self.make_learning(mllm, network, (train, validation))
        self._report = fit(learning, self.config, work, advance)
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
            network = self.make_network(mllm, edited(mllm, self.config.layers))
        return network.to(mllm.device)

    def _known(self) -> Hypernetwork:
        if self._network is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._network

    # Planning

    def plan(self, mllm: MLLM, edits: Sequence[Edit]) -> LowRankPatch:
        network = self._known()
        queries = [edit.query for edit in edits]
        below = mllm.below(queries, first_layer(mllm, self.config.layers))
        told: list[Inner] = []
        for start in range(0, len(edits), CHUNK):
            told += self.inner(mllm, queries[start : start + CHUNK], below[start : start + CHUNK])
        with torch.no_grad():
            return together(network(told))


def edited(mllm: MLLM, layers: Sequence[int]) -> list[str]:
    """The weights of the MLPs of these layers, from the lowest layer up."""
    mlps = [mllm.mlp(layer) for layer in layers]
    names = {f"{linear.name}.weight" for mlp in mlps for linear in (mlp.up, mlp.down)}
    return [name for name, _ in mllm.model.named_parameters() if name in names]


def first_layer(mllm: MLLM, layers: Sequence[int]) -> int:
    found = mllm.first_layer(edited(mllm, layers))
    assert found is not None
    return found


def inner(mllm: MLLM, below: Sequence[Query], weights: Sequence[str]) -> list[Inner]:
    """The gradients of edits, and nothing else."""
    return [Inner(rows) for rows in gradients(mllm, below, weights)]


def together(patches: Sequence[LowRankPatch]) -> LowRankPatch:
    """The sum of patches as one."""
    names = dict.fromkeys(name for patch in patches for name in patch.factors)
    pairs = {name: [patch.factors[name] for patch in patches if name in patch.factors] for name in names}
    return LowRankPatch(
        {
            name: Factors(
                torch.cat([one.left for one in of], dim=1), torch.cat([one.right for one in of], dim=0)
            )
            for name, of in pairs.items()
        }
    )


class HypernetworkLearning(ABC):
    """Judges a network by what the model says under the patches that it makes.

    All below the edited layers is computed once for each query, the gradients of an edit once, and so is what
    the unedited model says up to its head.
    """

    def __init__(
        self,
        mllm: MLLM,
        editor: HypernetworkEditor,
        network: Hypernetwork,
        data: tuple[Sequence[TrainEdit], Sequence[TrainEdit]],
    ) -> None:
        self.mllm = mllm
        self.module: nn.Module = network
        self.config = editor.config
        self._network = network
        self._editor = editor
        self._layer = first_layer(mllm, self.config.layers)
        self._pool = Pool(mllm, self.config.keep_bytes)
        self._train, self._validation = ([self._pool.lesson(one) for one in part] for part in data)
        self.number = len(self._train)
        self._inner: Kept[Inner] = Kept(self._pool.budget, self._told, lambda one: one.nbytes)
        self._prepare()

    @abstractmethod
    def _loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        """The mean loss of the lessons; without `rng` of all that they hold, else of a sample."""

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        return self._loss([self._train[i] for i in chosen], rng)

    def stepped(self) -> None:
        """Nothing has to be done."""

    def validate(self) -> float:
        bad, size = 0.0, self.config.batch_size
        for start in range(0, len(self._validation), size):
            part = self._validation[start : start + size]
            bad += self._judge(part) * len(part)
        return bad / len(self._validation)

    def _judge(self, lessons: Sequence[Lesson]) -> float:
        """How bad the network is on the lessons held out, on average."""
        return float(self._loss(lessons, None))

    def patches(self, lessons: Sequence[Lesson]) -> list[LowRankPatch]:
        """What the network makes of the edits."""
        found: list[LowRankPatch] = self._network(self._inner.of([lesson.inner for lesson in lessons]))
        return found

    def scored(
        self,
        side: SideBySide,
        numbers: Sequence[int],
        owners: Sequence[int],
        positions: Positions = "target",
    ) -> list[Scored]:
        """Queries of the pool, each under the patch of its owner."""
        with side.applied(self.mllm, owners):
            return self.mllm.logits(self._pool.below(numbers, self._layer), positions=positions)

    def locality(self, side: SideBySide, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        """KL on text plus KL on images, as the mean over the lessons; `rng` draws one query of each sort."""
        numbers: list[int] = []
        owners: list[int] = []
        shares: list[float] = []
        for owner, lesson in enumerate(lessons):
            for group in (lesson.text_locality, lesson.image_locality):
                chosen = (rng.choice(group),) if rng is not None and group else group
                numbers += chosen
                owners += [owner] * len(chosen)
                shares += [1 / len(chosen) / len(lessons)] * len(chosen) if chosen else []
        if not numbers:
            return torch.zeros((), device=self.mllm.device)
        before = self.mllm.score(self._pool.below(numbers, self.mllm.n_layers), positions="all")
        after = self.scored(side, numbers, owners, "all")
        apart = [locality_kl([one], [other]) for one, other in zip(before, after, strict=True)]
        return torch.stack([share * kl for share, kl in zip(shares, apart, strict=True)]).sum()

    def _told(self, numbers: Sequence[int]) -> list[Inner]:
        found: list[Inner] = []
        for start in range(0, len(numbers), CHUNK):
            part = numbers[start : start + CHUNK]
            below = self._pool.below(part, self._layer)
            found += self._editor.inner(self.mllm, self._pool.queries(part), below)
        return found

    def _prepare(self) -> None:
        lessons = [*self._train, *self._validation]
        asked = [(one.inner, one.text_rephrase, one.image_rephrase, *one.locality) for one in lessons]
        self._pool.prepare([number for numbers in asked for number in numbers], self._layer)
        kept = [number for one in lessons for number in one.locality]
        self._pool.prepare(kept, self.mllm.n_layers)
        self._inner.prepare([one.inner for one in lessons])


def fit(
    learning: HypernetworkLearning, config: TrainingConfig, work: Path, advance: Callable[[int], None]
) -> Report:
    """Train, with what the model and the network need for it."""
    with torch.enable_grad():
        return train(learning, config, work=work, advance=advance)
