"""ROME, MEMIT and AlphaEdit against numbers of the authors' own code, on the same tiny OPT.

See parity/rome.json and parity/alphaedit.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from editors.alphaedit import AlphaEdit, AlphaEditConfig
from editors.associations.base import AssociationEditor
from editors.base import Edit, TrainEdit
from editors.growing import Made
from editors.memit import MEMIT, MEMITConfig
from editors.rome import ROME, ROMEConfig
from mmedit_build.mllm import MLLM
from tests.editors.tiny_opt import FOLDER, GIVEN, assert_near, changes, edits, tiny

__all__ = ["edits", "tiny"]

ALPHA: dict[str, Any] = json.loads((FOLDER / "alphaedit.json").read_text(encoding="utf-8"))
PREFIXES = {"prefixes": GIVEN["prefixes"]}
SHARED = PREFIXES | {"ridge": 0.0}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    return load_file(FOLDER / "rome.safetensors") | load_file(FOLDER / "alphaedit.safetensors")


def _fitted(editor: AssociationEditor, mllm: MLLM, folder: Path) -> None:
    """Second moments over the texts, each told as a prompt with its last word for the answer."""
    halves = [text.rpartition(" ") for text in GIVEN["texts"]]
    train = [TrainEdit(Edit("text", None, prompt, answer)) for prompt, _, answer in halves]
    editor.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)


@pytest.fixture(scope="module")
def rome(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> ROME:
    editor = ROME(ROMEConfig(**SHARED, **GIVEN["rome"]))
    _fitted(editor, tiny, tmp_path_factory.mktemp("rome"))
    return editor


@pytest.fixture(scope="module")
def memit(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> MEMIT:
    told = dict(GIVEN["memit"])
    editor = MEMIT(MEMITConfig(**SHARED, edited=told.pop("layers"), **told))
    _fitted(editor, tiny, tmp_path_factory.mktemp("memit"))
    return editor


@pytest.fixture(scope="module")
def alphaedit(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> AlphaEdit:
    told = {name: value for name, value in GIVEN["memit"].items() if name != "weight"}
    options = {"threshold": ALPHA["threshold"], "l2": ALPHA["l2"], "edited": told.pop("layers")}
    editor = AlphaEdit(AlphaEditConfig(**PREFIXES, **options, **told))
    _fitted(editor, tiny, tmp_path_factory.mktemp("alphaedit"))
    return editor


def test_the_second_moments_are_the_authors(rome: ROME, theirs: dict[str, Tensor]) -> None:
    assert_near(rome.covariance(GIVEN["rome"]["layer"]).second, theirs["rome.moment"])


@pytest.mark.parametrize("number", range(3))
def test_one_edit_by_rome(
    tiny: MLLM, rome: ROME, edits: list[Edit], theirs: dict[str, Tensor], number: int
) -> None:
    (change,) = changes(rome.plan(tiny, [edits[number]])).values()
    assert_near(change, theirs[f"rome.{number}"])


def test_edits_one_after_the_other_by_rome(
    tiny: MLLM, rome: ROME, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    (change,) = changes(rome.plan(tiny, edits)).values()
    assert_near(change, theirs["rome.sequence"])


@pytest.mark.parametrize(("label", "number"), [("one", 1), ("all", 3)])
def test_memit(
    tiny: MLLM, memit: MEMIT, edits: list[Edit], theirs: dict[str, Tensor], label: str, number: int
) -> None:
    found = changes(memit.plan(tiny, edits[:number]))
    assert list(found) == GIVEN["memit"]["layers"]
    for layer, change in found.items():
        assert_near(change, theirs[f"memit.{label}.{layer}"])


def test_alphaedit_leaves_as_many_directions_free(alphaedit: AlphaEdit, theirs: dict[str, Tensor]) -> None:
    for layer, taken in alphaedit.fitted().tensors.items():
        assert taken.shape[0] - taken.shape[1] == int(theirs[f"kept.{layer}"])


def test_alphaedit_of_all_at_once(
    tiny: MLLM, alphaedit: AlphaEdit, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    for layer, change in changes(alphaedit.plan(tiny, edits)).items():
        assert_near(change, theirs[f"all.{layer}"])


def test_alphaedit_batch_after_batch(
    tiny: MLLM, alphaedit: AlphaEdit, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    first, second = ([edits[number] for number in batch] for batch in ALPHA["batches"])
    patch = alphaedit.extend(tiny, Made(tuple(first), alphaedit.plan(tiny, first)), second)
    found = changes(patch)
    assert list(found) == GIVEN["memit"]["layers"]
    for (layer, change), keys in zip(found.items(), patch.known.values(), strict=True):
        assert_near(change, theirs[f"batches.{layer}"])
        assert_near(keys @ keys.mT, theirs[f"earlier.{layer}"])
