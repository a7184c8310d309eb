"""What ROME, MEMIT and AlphaEdit learn before they plan, and share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from editors.alphaedit import AlphaEdit, AlphaEditConfig
from editors.associations.base import MOMENTS, AssociationEditor
from editors.associations.lookup import write_prefixes
from editors.associations.moments import draw_contexts, mixed, second_moments
from editors.base import Edit, TrainEdit
from editors.fitting import ensure_fitted
from editors.memit import MEMIT, MEMITConfig
from editors.rome import ROME, ROMEConfig
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query


@pytest.fixture
def train(edits: list[Edit]) -> list[TrainEdit]:
    fact = Query(None, "who wrote the book?", "the cat")
    return [TrainEdit(one, replace(one.query, prompt="what?"), one.query, (fact,), ()) for one in edits]


def fitted(editor: AssociationEditor, mllm: MLLM, train: list[TrainEdit], folder: Path) -> None:
    editor.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)


def test_both_methods_use_the_same_moments(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    memit, rome = MEMIT(MEMITConfig(edited=(1, 3, -1))), ROME(ROMEConfig(layer=3))
    told: list[int] = []
    for name, one in (("memit", memit), ("rome", rome)):
        ensure_fitted(name, one, mllm, (train, []), cache=tmp_path, advance=told.append)
    # Text and image apart, of three layers; ROME's one layer is among them.
    assert len(list((tmp_path / MOMENTS).iterdir())) == 6
    assert torch.equal(memit.covariance(3).second, rome.covariance(3).second)
    assert sum(told) == memit.steps(train) + rome.steps(train) == 14


def test_the_share_of_image_contexts_is_an_option(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    rome = ROME(ROMEConfig(layer=3, image_share=0.2))
    fitted(rome, mllm, train, tmp_path)
    parts = {
        sort: second_moments(mllm, [3], contexts, cache=tmp_path, advance=lambda _: None)[3]
        for sort, contexts in draw_contexts(train, 100, seed=0).items()
    }
    torch.testing.assert_close(rome.covariance(3).second, mixed(parts, 0.2).second, rtol=1e-4, atol=1e-6)


def test_texts_are_given_or_written(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    options: list[tuple[dict[str, Any], int]] = [
        ({"prefixes": ("a cat",)}, 1),
        ({"prefix_count": 4}, 4),
        ({"prefixes": ()}, 0),
    ]
    for given, number in options:
        rome = ROME(ROMEConfig(**given))
        fitted(rome, mllm, train, tmp_path)
        again = ROME(ROMEConfig(**given))
        again.restore(mllm, rome.fitted())
        (one,) = rome.contexts(mllm, edits[:1])
        assert len(one.rewriting) == number + 1
        assert again.contexts(mllm, edits[:1]) == [one]


def test_lengths_of_texts_take_turns(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    rome = ROME(ROMEConfig(prefix_count=3, prefix_tokens=(1, 4)))
    fitted(rome, mllm, train, tmp_path)
    assert rome.fitted().fields["prefixes"] == tuple(write_prefixes(mllm, [1, 4, 1], seed=0))
    with pytest.raises(ValidationError):
        ROMEConfig(prefix_tokens=())


def test_without_train_edits_there_is_nothing_to_learn_from(mllm: MLLM, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no train edits"):
        fitted(ROME(ROMEConfig()), mllm, [], tmp_path)


@pytest.mark.parametrize("editor", [ROME(ROMEConfig()), MEMIT(MEMITConfig()), AlphaEdit(AlphaEditConfig())])
def test_nothing_is_planned_before(mllm: MLLM, edits: list[Edit], editor: AssociationEditor) -> None:
    with pytest.raises(ValueError, match="fitted"):
        editor.plan(mllm, edits)


@pytest.mark.parametrize("editor", [ROME(ROMEConfig(layer=9)), MEMIT(MEMITConfig(edited=(0, -7)))])
def test_layers_that_there_are_not_are_told(
    mllm: MLLM, train: list[TrainEdit], editor: AssociationEditor, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="layers 0 to 5"):
        fitted(editor, mllm, train, tmp_path)
