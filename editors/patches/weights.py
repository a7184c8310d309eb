"""Patches that change weights: by a difference of the whole matrix, or by factors of low rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from editors.areas import Area, area_of
from editors.base import Model, State
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


@dataclass(frozen=True, slots=True, eq=False)
class WeightPatch:
    """Adds a difference to each named parameter."""

    deltas: Mapping[str, Tensor]

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        with ExitStack() as undo:
            undo.enter_context(seen_afresh(mllm_of(model), self.deltas))
            for name, delta in self.deltas.items():
                undo.enter_context(_added(mllm_of(model), name, delta))
            yield model

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self.deltas)

    @property
    def changed(self) -> int:
        return sum(delta.numel() for delta in self.deltas.values())

    @property
    def preserves(self) -> bool:
        return False

    def touched(self, mllm: MLLM) -> Area:
        return area_of(mllm, self.deltas)

    def state(self) -> State:
        return State(self.deltas)

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(state.tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A matrix of low rank, left @ right: (out, rank) times (rank, in)."""

    left: Tensor
    right: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LowRankPatch:
    """Adds a matrix of low rank to each named weight.

    Applied, the matrices are added to the weights, or in half precision to what the modules put out: a change
    smaller than half a step between two numbers would be lost in the weight. Many such patches can also act
    side by side, each on its own rows of a batch: see `editors.patches.side_by_side`.
    """

    factors: Mapping[str, Factors]

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        mllm = mllm_of(model)
        with ExitStack() as undo:
            undo.enter_context(seen_afresh(mllm, self.factors))
            for name, pair in self.factors.items():
                undo.enter_context(_added_product(mllm, name, pair))
            yield model

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self.factors)

    @property
    def changed(self) -> int:
        return sum(pair.left.shape[0] * pair.right.shape[1] for pair in self.factors.values())

    @property
    def preserves(self) -> bool:
        return False

    def touched(self, mllm: MLLM) -> Area:
        return area_of(mllm, self.factors)

    def state(self) -> State:
        sides = {f"{name}:left": pair.left for name, pair in self.factors.items()}
        sides |= {f"{name}:right": pair.right for name, pair in self.factors.items()}
        return State(sides)

    @classmethod
    def from_state(cls, state: State) -> Self:
        names = [name.removesuffix(":left") for name in state.tensors if name.endswith(":left")]
        return cls(
            {name: Factors(state.tensors[f"{name}:left"], state.tensors[f"{name}:right"]) for name in names}
        )


def together(patches: Sequence[LowRankPatch]) -> LowRankPatch:
    """The sum of patches that change the same weights, where the last of them lies."""
    pairs = {name: [patch.factors[name] for patch in patches] for name in patches[0].factors}
    return LowRankPatch({name: _side_by_side(of) for name, of in pairs.items()})


def _side_by_side(pairs: Sequence[Factors]) -> Factors:
    device = pairs[-1].left.device
    left = torch.cat([one.left.to(device) for one in pairs], dim=1)
    return Factors(left, torch.cat([one.right.to(device) for one in pairs], dim=0))


def folded(patch: LowRankPatch) -> LowRankPatch:
    """The same change with no more ranks than its matrices have, so that what grows does so to an end."""
    return LowRankPatch({name: _folded(pair) for name, pair in patch.factors.items()})


def _folded(pair: Factors) -> Factors:
    (out, rank), width = pair.left.shape, pair.right.shape[1]
    if rank <= min(out, width):
        return pair
    whole = pair.left @ pair.right
    # One side is the unit matrix of the smaller size, whose product with the other is exact.
    unit = torch.eye(min(out, width)).to(whole)
    return Factors(unit, whole) if out <= width else Factors(whole, unit)


@contextmanager
def seen_afresh(mllm: MLLM, names: Mapping[str, object]) -> Iterator[None]:
    """Has images encoded anew inside if one of the named parameters decides about their features."""
    seeing = mllm.part("vision").keys() | mllm.part("connector").keys()
    if seeing.isdisjoint(names):
        yield
    else:
        with mllm.fresh_features():
            yield


@contextmanager
def _added(mllm: MLLM, name: str, delta: Tensor) -> Iterator[None]:
    parameter = _parameter(mllm, name, delta.shape)
    before = parameter.data
    # Summed in the wider of the two precisions. The old tensor itself is put back in the end: nothing is
    # subtracted, so nothing is rounded.
    parameter.data = (before + delta.detach().to(before.device)).to(before.dtype)
    try:
        yield
    finally:
        parameter.data = before


@contextmanager
def _added_product(mllm: MLLM, name: str, pair: Factors) -> Iterator[None]:
    parameter = _parameter(mllm, name, torch.Size((len(pair.left), pair.right.shape[1])))
    module = mllm.model.get_submodule(name.rpartition(".")[0])
    if parameter.dtype.itemsize >= 4 or not isinstance(module, nn.Linear):
        left, right = (side.detach().to(parameter.device) for side in (pair.left, pair.right))
        with _added(mllm, name, left @ right):
            yield
        return
    with added_outputs(mllm, {name: Factors(pair.left.detach(), pair.right.detach())}):
        yield


@contextmanager
def added_outputs(mllm: MLLM, factors: Mapping[str, Factors], scale: float = 1.0) -> Iterator[None]:
    """Inside, the modules of the named weights put out what the factors add, too, times `scale`.

    Gradients flow into the factors.
    """
    with ExitStack() as undo:
        for name, pair in factors.items():
            module = mllm.model.get_submodule(name.rpartition(".")[0])
            device = module.get_parameter("weight").device
            moved = Factors(pair.left.to(device), pair.right.to(device))
            undo.callback(module.register_forward_hook(_adding(moved, scale)).remove)
        yield


def _adding(pair: Factors, scale: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        added = inputs[0].to(pair.right.dtype) @ pair.right.mT @ pair.left.mT
        return (output + scale * added).to(output.dtype)

    return add


def _parameter(mllm: MLLM, name: str, shape: torch.Size) -> nn.Parameter:
    try:
        found = mllm.model.get_parameter(name)
        has = f"has one of shape {tuple(found.shape)}"
    except AttributeError:
        found, has = None, "has none"
    if found is None or found.shape != shape:
        raise UserError(
            f"The patch changes a parameter {name} of shape {tuple(shape)}, but {mllm.name} {has}: "
            "apply it to the model it was planned for."
        )
    return found
