"""The contract of editing: what an editor is asked, what it gives back, and what it needs of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from torch import Tensor

from editors.areas import Area
from editors.families import MethodFamily
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Below, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE
from mmedit_build.pictures import Image
from mmedit_build.recipe.fields import Strict


@dataclass(frozen=True, slots=True)
class Edit:
    """A wish: the model shall answer `target` to `prompt` on `image`."""

    id: str
    image: Image | None
    prompt: str
    """As the model is given it: a question stands in the template of the model's family."""
    target: str
    subject: str | None = None
    """The part of the prompt that the fact is about, for methods that look for it."""

    def __post_init__(self) -> None:
        if not self.target.strip():
            raise UserError(f"Edit {self.id} has no target: leave it out or say what shall be answered.")

    @property
    def query(self) -> Query:
        """The edit as a query that carries its target."""
        return Query(self.image, self.prompt, self.target)


@dataclass(frozen=True, slots=True)
class TrainEdit:
    """An edit of the train split with all that a learning editor may look at; the queries carry targets."""

    edit: Edit
    text_rephrase: Query | None = None
    """The prompt in other words, on the same image."""
    image_rephrase: Query | None = None
    """The same prompt on the image in another rendering."""
    text_locality: tuple[Query, ...] = ()
    """Questions without image whose answers shall stay."""
    image_locality: tuple[Query, ...] = ()
    """Questions on images whose answers shall stay."""


class Model(Protocol):
    """What is asked of a model, edited or not; an MLLM is one. A `Below` may stand for queries everywhere."""

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        """Teacher-forced logits of each query, in order."""

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        """The greedy continuation of each prompt, with the probabilities of its tokens."""

    def generate(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[str]:
        """The greedy continuation of each prompt."""

    def lifted(
        self, queries: Sequence[Query], *, new_tokens: int = 0, batch_size: int = BATCH_SIZE
    ) -> tuple[Model, Sequence[Query]]:
        """A model and queries that score and write (up to so many tokens) the same, with what both would do
        done once."""

    def question_prompt(self, question: str) -> str:
        """The prompt by which the model is asked a question about an image."""


class Answering(ABC):
    """A model that answers by other means than a pass of its own, so that nothing is known ahead."""

    @abstractmethod
    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]: ...

    @abstractmethod
    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]: ...

    def generate(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[str]:
        written = self.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)
        return [one.text for one in written]

    def lifted(
        self,
        queries: Sequence[Query],
        *,
        new_tokens: int = 0,  # noqa: ARG002
        batch_size: int = BATCH_SIZE,  # noqa: ARG002
    ) -> tuple[Model, Sequence[Query]]:
        return self, queries

    @abstractmethod
    def question_prompt(self, question: str) -> str: ...


class Overlay(Answering):
    """A model that answers by way of another one under it."""

    def __init__(self, under: Model) -> None:
        self.under = under

    def question_prompt(self, question: str) -> str:
        return self.under.question_prompt(question)


def unwrapped(model: Model) -> MLLM:
    """The MLLM that `model` is, for editors that look into its layers; others ask `editors.under`.

    Under a patch that rewrites queries, or has another model answer them, what is seen there is not what is
    answered.
    """
    if isinstance(model, Overlay):
        raise UserError(
            "The method looks into the layers of the model, but a patch is applied that rewrites queries or "
            "has another model answer them: plan the edit before that patch is applied."
        )
    if not isinstance(model, MLLM):
        raise TypeError(f"a {type(model).__name__} has no MLLM under it")
    return model


Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What has to be kept of a patch or of a fitted editor: named tensors, and fields that JSON can hold."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    fields: Mapping[str, Json] = field(default_factory=dict)


class Patch(Protocol):
    """A planned edit. The same patch can be applied any number of times."""

    def applied(self, model: Model) -> AbstractContextManager[Model]:
        """Inside, the model yielded is the edited one; afterwards, also after an error, all is as before.

        Patches nest: each acts on the model that the one around it yields. They may change the MLLM under
        `model` while they are applied, so nothing else should use it then but through what is yielded.
        """

    def first_layer(self, mllm: MLLM) -> int | None:
        """The highest layer L such that the patched model takes `mllm.below(queries, L)` of the unpatched one
        for the queries and saves the work below L. None: no such layer saves anything, give plain queries.

        A `Below` of L or of any lower layer gives the same answers as plain queries. With patches inside
        each other the lowest L holds, and None if one of them says None (see `reuse`).
        """

    @property
    def changed(self) -> int:
        """How many parameters of the model it changes."""

    @property
    def preserves(self) -> bool:
        """Whether all parameters of the model stay as they are where it acts."""

    def touched(self, mllm: MLLM) -> Area:
        """What of the model it acts on, and in which decoder layers."""

    def state(self) -> State:
        """All that `from_state` needs; see `editors.saving` for files."""

    @classmethod
    def from_state(cls, state: State) -> Self: ...


class Editor(Protocol):
    """A method with its configuration. Its class is made from the configuration alone."""

    Config: ClassVar[type[Any]]
    """A subclass of Strict: its fields are the options of the method, each documented, with defaults."""
    family: ClassVar[MethodFamily]
    """What sort of method it is."""
    touches: ClassVar[str]
    """What of a model its patches touch, in a few words for lists."""
    batch: ClassVar[bool]
    """Whether it makes several edits by one patch; `plan` refuses them with a UserError otherwise."""

    def __init__(self, config: Any) -> None: ...

    @property
    def config(self) -> Strict: ...

    def plan(self, model: Model, edits: Sequence[Edit]) -> Patch:
        """A patch that makes all the edits together, at least one; the model itself stays bit for bit.

        It is made for the model under the patches that are applied: those that change its weights or what
        its modules give out always, and those that rewrite or route queries unless `unwrapped` refuses them.
        """


Lift = Callable[[Sequence[Query], int], Below]
"""As `MLLM.below`: queries as they are known up to a layer of the model that nothing has changed yet."""


@runtime_checkable
class Grouping(Protocol):
    """An editor that can plan several edits, each by itself, in the same passes."""

    def begins(self, mllm: MLLM) -> int | None:
        """The `first_layer` of its patches. None: edits are planned one by one, as what is kept of each would
        take too much room, or as they have no pass in common."""

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[Patch]:
        """What `plan` makes of the edits of each wish, but for rounding. The model stays bit for bit.

        What `lift` is asked for may be known already.
        """


@runtime_checkable
class Leaking(Protocol):
    """An editor with a published variant that looks at the answers that are scored, which tables mark."""

    @property
    def leaks(self) -> bool:
        """Whether it is that variant."""


@runtime_checkable
class Whole(Protocol):
    """An editor that is made for all edits that are judged, and never for some: one patch makes them all."""

    whole: ClassVar[bool]


@runtime_checkable
class Learner(Protocol):
    """An editor that has to see the train split before it plans. `editors.fitting` keeps what it learned."""

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],
        *,
        work: Path,
        advance: Callable[[int], None],
    ) -> None:
        """Learn; the model stays bit for bit as it was. `validation` is a part of train held out.

        A fit that was interrupted goes on from what it left in the folder `work`; beside that folder, editors
        may keep what several of them use. `advance` is told of steps done, out of `steps`.
        """

    def steps(self, train: Sequence[TrainEdit]) -> int:
        """How many steps a fit makes at most, for a progress bar."""

    def fitted(self) -> State:
        """What was learned; a ValueError if nothing was."""

    def restore(self, mllm: MLLM, state: State) -> None:
        """Take up what `fitted` gave, for the same configuration and model."""
