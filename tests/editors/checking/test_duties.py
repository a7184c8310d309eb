"""Each duty is missed by an editor that fails in it, and in no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import pytest
import torch
from torch import Tensor

from editors.areas import Area
from editors.base import Edit, Editor, Model, Overlay, State, unwrapped
from editors.base import TrainEdit as Whole
from editors.checking.duties import Trial, check
from editors.families import MethodFamily
from editors.patches.hooks import hooked
from editors.patches.weights import WeightPatch
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Generated, Positions, Query, Scored
from mmedit_build.recipe.fields import Strict
from tests.editors.contract import of

LAYER = "mlp.-1"


class NoConfig(Strict):
    """Nothing can be chosen."""


class Good:
    """Adds a little to the last layer."""

    Config: ClassVar[type[Strict]] = NoConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "the last layer"
    batch: ClassVar[bool] = True
    made: ClassVar[type[WeightPatch]] = WeightPatch

    def __init__(self, config: Strict) -> None:
        self.config = config

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:  # noqa: ARG002
        found = unwrapped(model).part(LAYER)
        return self.made({name: torch.full_like(one, 1e-3) for name, one in found.items()})


class Moves(Good):
    """Leaves the model another one."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:
        next(iter(unwrapped(model).part(LAYER).values())).data += 1e-3
        return super().plan(model, edits)


class Rounds(WeightPatch):
    """Takes off what it added, which is not what was there."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        parameters = mllm_of(model).part(LAYER)
        for name, delta in self.deltas.items():
            parameters[name].data += delta
        try:
            yield model
        finally:
            for name, delta in self.deltas.items():
                parameters[name].data -= delta


class Forgets(WeightPatch):
    """Is not undone after an error."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        parameters = mllm_of(model).part(LAYER)
        before = {name: one.data.clone() for name, one in parameters.items()}
        for name, delta in self.deltas.items():
            parameters[name].data += delta
        yield model
        for name, one in before.items():
            parameters[name].data = one


class Loses(WeightPatch):
    """Does not keep all that it is."""

    def state(self) -> State:
        return State({name: delta / 2 for name, delta in self.deltas.items()})


class Breaks(WeightPatch):
    """Cannot be read."""

    @classmethod
    def from_state(cls, state: State) -> Self:  # noqa: ARG003
        raise KeyError("rank")


class Lies(WeightPatch):
    """Says that all below the head stays as it is."""

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.n_layers


class Carries(WeightPatch):
    """Speaks up after prompts that it has seen go by in the same call, and at no prompt itself."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        seen: list[Sequence[int]] = []

        def carry(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
            if y.shape[1] > 1:
                seen[:] = [batch.indices]
            return y if seen[0] is not batch.indices or y.shape[1] > 1 else y + torch.arange(y.shape[2])

        mllm = mllm_of(model)
        with hooked(mllm, {mllm.mlp(-1).down.name: carry}):
            yield model


class Learns(Overlay):
    """Answers by how often it was asked."""

    def __init__(self, under: Model, asked: list[Query]) -> None:
        super().__init__(under)
        self._asked = asked

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = 32
    ) -> list[Scored]:
        plain = self.under.score(queries, positions=positions, batch_size=batch_size)
        return [replace(one, logits=one.logits + len(self._asked)) for one in plain]

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = 32
    ) -> list[Generated]:
        self._asked.extend(queries)
        return self.under.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)


@dataclass(frozen=True, slots=True, eq=False)
class Remembers(WeightPatch):
    """Remembers what it is asked, in what its editor goes by too."""

    asked: list[Query]

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        yield Learns(model, self.asked)

    def first_layer(self, mllm: MLLM) -> int | None:  # noqa: ARG002
        return None

    def touched(self, mllm: MLLM) -> Area:  # noqa: ARG002
        return {}

    def state(self) -> State:
        return State(fields={"asked": len(self.asked)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls({}, [Query(None, "")] * int(str(state.fields["asked"])))


class Follows(Good):
    def __init__(self, config: Strict) -> None:
        super().__init__(config)
        self.asked: list[Query] = []

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:  # noqa: ARG002
        return Remembers({}, self.asked)


class Counts(Good):
    """Plans something else each time."""

    times = 0.0

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:
        self.times += 1
        deltas = super().plan(model, edits).deltas
        return WeightPatch({name: delta * self.times for name, delta in deltas.items()})


class Single(Good):
    """Plans several edits, though it says that it does not."""

    batch = False


class Refuses(Good):
    """Refuses several edits, though it says that it makes them."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:
        if len(edits) > 1:
            raise UserError("Give it one at a time.")
        return super().plan(model, edits)


def making(patch: type[WeightPatch]) -> type[Good]:
    return type("Made", (Good,), {"made": patch})


def failures(mllm: MLLM, editor: Editor, world: Sequence[Whole]) -> dict[str, str]:
    trial = Trial(mllm, editor, world[12].edit, of(world[12]), [world[13].edit])
    return {one.duty: one.failure for one in check(trial) if one.failure is not None}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Good, {}),
        (making(Forgets), {"undo is exact after an error": "Changed and left so: "}),
        (
            making(Loses),
            {"written to a file and read, it answers the same": "answers differ, such as that to"},
        ),
        (making(Breaks), {"written to a file and read, it answers the same": "KeyError: 'rank'"}),
        (making(Lies), {"work below its first layer can be reused": "It says layer 6, but"}),
        (
            making(Carries),
            {
                "nothing is carried from a prompt to what is written after it": (
                    "answers differ where the prompts were gone through in a call before, such as"
                )
            },
        ),
        (Counts, {"planned again, it is the same patch": "Other numbers than when"}),
        (Single, {"several edits are made together, or refused": "one edit at a time, and plans several"}),
        (Refuses, {"several edits are made together, or refused": "and refuses: Give it one at a time."}),
    ],
)
def test_a_duty_that_is_failed_is_told_in_a_sentence(
    miniature: MLLM, world: list[Whole], kind: type[Good], expected: dict[str, str]
) -> None:
    with kept(miniature):
        found = failures(miniature, kind(NoConfig()), world)
    assert [*found] == [*expected]
    assert all(part in found[duty] for duty, part in expected.items())


def test_a_model_that_is_left_changed_is_noticed_at_once(miniature: MLLM, world: list[Whole]) -> None:
    with kept(miniature):
        assert "planning leaves the model bit for bit as it was" in failures(
            miniature, Moves(NoConfig()), world
        )
    with kept(miniature):
        assert "undo is exact" in failures(miniature, making(Rounds)(NoConfig()), world)


def test_what_remembers_its_questions_is_noticed(miniature: MLLM, world: list[Whole]) -> None:
    found = failures(miniature, Follows(NoConfig()), world)
    assert "the same patch answers the same again" in found
    assert found["planned again, it is the same patch"].startswith("What it keeps besides tensors is other")


@contextmanager
def kept(mllm: MLLM) -> Iterator[None]:
    """The model is given back whole, whatever an editor did to it."""
    before = {name: one.data.clone() for name, one in mllm.model.named_parameters()}
    yield
    for name, one in mllm.model.named_parameters():
        one.data.copy_(before[name])
