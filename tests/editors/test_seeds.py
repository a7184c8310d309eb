"""What editors draw: by their seed, all of it, and by nothing else. Each thing that is drawn has a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from editors import EDITORS, editor_class, load_editor
from editors.base import Editor, Learner, State, TrainEdit
from mmedit_build.mllm import MLLM

NOTHING_LEARNED = 1e-30
"""A learning rate so low that numbers stay what they started from, but for those that start as 0."""
START = {"steps": 1, "batch_size": 2, "lr": NOTHING_LEARNED}
FEW = {"samples": 3, "prefix_count": 2}
IKE = {"encoder": "base", "copies": 1, "updates": 1, "retains": 2}


@dataclass(frozen=True)
class Drawn:
    """One thing that an editor draws, and where it is to be seen."""

    editor: str
    thing: str
    seen_in: str
    """Part of the names of the tensors, or the name of the field, that nothing else drawn has a part in."""
    options: dict[str, Any] = field(default_factory=dict)
    planned: bool = False
    """Whether it is drawn for each edit, and not while the editor learns."""
    edits: int = 1
    """How many are planned."""


DRAWN = [
    Drawn("alphaedit", "contexts", "2", FEW),
    Drawn("alphaedit", "texts", "prefixes", FEW),
    Drawn("calinet", "slots", "keys", {"steps": 1}, planned=True),
    Drawn("dualedit", "adaptors", "enter.weight", START),
    Drawn("ft-dataset", "order", "", {"steps": 2, "batch_size": 1}, planned=True, edits=3),
    Drawn("grace", "values", "values", {"steps": 1}, planned=True),
    Drawn("grace", "images", "radii", {"radius": "balanced", "alpha": 1.0, "steps": 1}, planned=True),
    Drawn("ike", "types of demonstrations", "pieces", IKE, planned=True),
    Drawn("ke", "network", "lstm", START | {"warmup": 0}),
    Drawn("liveedit", "network", "slots", START),
    Drawn("lora", "A", "right", {"lr": NOTHING_LEARNED, "steps": 1}, planned=True),
    Drawn("m-ore", "bases", "right", {"locality": 0, "steps": 1}, planned=True),
    Drawn("m-ore", "train questions", "fc1", {"known": 2}),
    Drawn("memit", "contexts", "2", FEW),
    Drawn("memit", "texts", "prefixes", FEW),
    Drawn("mend", "network", "down", START | {"rates_lr": NOTHING_LEARNED}),
    Drawn("rome", "contexts", "2", FEW),
    Drawn("rome", "texts", "prefixes", FEW),
    Drawn("scopeedit", "bases", "right", {"locality": 0, "steps": 1}, planned=True),
    Drawn("scopeedit", "train questions", "fc1", {"known": 2}),
    Drawn("serac", "classifier", "q_lin.weight", START),
    Drawn("serac-image", "classifier", "q_lin.weight", START),
    Drawn("t-patcher", "memory", "train", {"memory": 40}),
    Drawn("t-patcher", "values", "values", {"memory": 40, "steps": 2}, planned=True),
    Drawn("ultraedit", "train edits", "mean", {"samples": 2}),
    Drawn("visedit", "adaptor", "enter.weight", START),
    Drawn("wise", "what edits shall not touch", "text"),
    Drawn("wise", "masks", "side", {"steps": 1}, planned=True),
]


def drawing() -> list[str]:
    return [name for name in EDITORS if "seed" in editor_class(name).Config.model_fields]


def learned(drawn: Drawn, seed: int, mllm: MLLM, world: Sequence[TrainEdit], folder: Path) -> Editor:
    editor = load_editor(drawn.editor, drawn.options | {"seed": seed})
    if isinstance(editor, Learner):
        editor.fit(mllm, world[:6], world[6:8], work=folder / "work", advance=lambda _: None)
    return editor


def kept(editor: Editor) -> State:
    assert isinstance(editor, Learner)
    return editor.fitted()


def same(one: State, other: State, name: str) -> bool:
    if name in one.fields:
        return one.fields[name] == other.fields[name]
    tensors = [tensor for known, tensor in one.tensors.items() if name in known]
    assert tensors
    others = [tensor for known, tensor in other.tensors.items() if name in known]
    return all(torch.equal(*pair) for pair in zip(tensors, others, strict=True))


def test_each_editor_with_a_seed_has_a_row() -> None:
    assert list(dict.fromkeys(row.editor for row in DRAWN)) == drawing()
    # Those without draw nothing: gradient descent, neurons found by their scores, and what is looked up.
    assert sorted(set(EDITORS) - set(drawing())) == ["ft", "ft-l", "ft-vision", "kn", "oracle", "remember"]


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda one: f"{one.editor}: {one.thing}")
def test_two_seeds_draw_otherwise_and_the_same_seed_the_same(
    drawn: Drawn, miniature: MLLM, world: list[TrainEdit], tmp_path: Path
) -> None:
    editors = []
    for number, seed in enumerate((0, 1, 0)):
        # What others draw has no part in it.
        torch.manual_seed(number)
        editors.append(learned(drawn, seed, miniature, world, tmp_path / str(number)))
    if drawn.planned:
        for editor in editors[1:]:
            # What was drawn to learn is the same for all: here the planning alone draws.
            if isinstance(editor, Learner):
                editor.restore(miniature, kept(editors[0]))
        edits = [one.edit for one in world[9 : 9 + drawn.edits]]
        states = [editor.plan(miniature, edits).state() for editor in editors]
    else:
        states = [kept(editor) for editor in editors]
    assert same(states[0], states[2], drawn.seen_in)
    assert not same(states[0], states[1], drawn.seen_in)
