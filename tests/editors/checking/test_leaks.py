"""Methods that know the answer they are asked for are found, in whichever way they use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from editors import load_editor
from editors.base import Edit, Learner, Model, Overlay, TrainEdit
from editors.checking.leaks import Leaks, find_leaks
from editors.checking.swaps import swaps
from editors.memory.patch import MemoryPatch
from editors.patches.overlays import PromptPatch, RoutedPatch
from mmedit_build.mllm import MLLM, Generated, Positions, Query, Scored
from tests.editors.contract import of


class Toy:
    """A patch that needs nothing kept; subclasses say how they answer."""

    overlay: type[Asking]

    def __init__(self, edit: Edit) -> None:
        self.edit = edit

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        yield self.overlay(model, self.edit)


class Asking(Overlay):
    """Answers as the model under it."""

    def __init__(self, under: Model, edit: Edit) -> None:
        super().__init__(under)
        self.edit = edit

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = 32
    ) -> list[Scored]:
        return self.under.score(queries, positions=positions, batch_size=batch_size)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = 32
    ) -> list[Generated]:
        return self.under.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)


class LooksUp(Asking):
    """Puts before each prompt what prompt and target together find."""

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = 32
    ) -> list[Scored]:
        def found(query: Query) -> str:
            whole = set(f"{query.prompt} {query.target}".split())
            return self.edit.prompt if set(self.edit.target.split()) <= whole else "Look."

        told = [replace(query, prompt=f"{found(query)} {query.prompt}") for query in queries]
        return self.under.score(told, positions=positions, batch_size=batch_size)


class Raises(Asking):
    """Makes the target's own tokens likelier, from one of them on."""

    start = 0

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = 32
    ) -> list[Scored]:
        plain = super().score(queries, positions=positions, batch_size=batch_size)
        return [self._raised(one) for one in plain]

    def _raised(self, one: Scored) -> Scored:
        logits = one.logits.clone()
        for number, token in enumerate(one.target_ids.tolist()):
            if number >= self.start:
                logits[one.first + number, token] += 5
        return replace(one, logits=logits)


class RaisesLater(Raises):
    start = 1


class Repeats(Asking):
    """Says the target that it is given."""

    def write(
        self,
        queries: Sequence[Query],
        *,
        max_new_tokens: int = 32,  # noqa: ARG002
        batch_size: int = 32,  # noqa: ARG002
    ) -> list[Generated]:
        return [Generated(query.target, ()) for query in queries]


def toy(overlay: type[Asking]) -> type[Toy]:
    return type("Patch", (Toy,), {"overlay": overlay})


@dataclass(frozen=True)
class Routes(RoutedPatch):
    """Answers by another prompt whatever has the edit's target for its own."""

    edit: Edit

    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:  # noqa: ARG002
        return [query.target == self.edit.target for query in queries]

    def other(self, under: Model) -> Model:
        with PromptPatch((f"{self.edit.prompt} {self.edit.target} ",)).applied(under) as model:
            return model


@pytest.fixture(scope="module")
def asked(world: list[TrainEdit]) -> TrainEdit:
    one = world[12]
    # Of two tokens, so that there is a second one for a leak to show in.
    return replace(one, edit=replace(one.edit, target="red two"))


def leaks(mllm: MLLM, patch: object, one: TrainEdit) -> Leaks:
    return find_leaks(mllm, patch, swaps(mllm, of(one), [one.edit.target]))  # type: ignore[arg-type]


def ways(found: Leaks) -> list[str]:
    return [name for name in ("logits", "routes", "answers") if getattr(found, name)]


def test_the_honest_have_none(miniature: MLLM, asked: TrainEdit) -> None:
    assert leaks(miniature, toy(Asking)(asked.edit), asked) == Leaks(None, None, None)
    assert leaks(miniature, PromptPatch(("Look closely. ",)), asked) == Leaks(None, None, None)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (LooksUp, ["logits", "routes"]),
        (Raises, ["logits"]),
        (RaisesLater, ["logits"]),
        (Repeats, ["answers"]),
    ],
)
def test_leaks_are_found_where_they_are(
    miniature: MLLM, asked: TrainEdit, overlay: type[Asking], expected: list[str]
) -> None:
    assert ways(leaks(miniature, toy(overlay)(asked.edit), asked)) == expected


def test_a_router_that_is_shown_targets_is_found_with_the_query(miniature: MLLM, asked: TrainEdit) -> None:
    found = leaks(miniature, Routes(asked.edit), asked)
    assert ways(found) == ["logits", "routes"]
    assert found.routes is not None
    assert found.routes.startswith(
        f"Of {asked.edit.prompt!r}, what the patch chooses changes when the target"
    )


@pytest.mark.parametrize("mixing", ["hard", "soft"])
@pytest.mark.parametrize("router", ["prompt", "leaking"])
def test_seracs_leaking_router_leaks(
    miniature: MLLM, world: list[TrainEdit], router: str, mixing: str, tmp_path: Path
) -> None:
    options = {"steps": 2, "batch_size": 2, "router": router, "mixing": mixing}
    editor = load_editor("serac", options)
    assert isinstance(editor, Learner)
    editor.fit(miniature, world[:4], world[4:6], work=tmp_path, advance=lambda _: None)
    patch = editor.plan(miniature, [world[12].edit])
    assert isinstance(patch, MemoryPatch)
    found = ways(leaks(miniature, patch, world[12]))
    assert ("routes" in found) == (router == "leaking")
    assert found == [] or router == "leaking"
