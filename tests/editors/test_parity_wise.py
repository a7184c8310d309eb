"""WISE against numbers of public code, on the tiny OPT of `test_parity_of_neurons`; see parity/wise.json."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from editors.gating.sides import Place
from editors.gating.ties import merged
from editors.gating.writing import Moving, Wish, WritingConfig, margins, write
from editors.losses import target_nll
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Batch, Query, Scored
from tests.editors.test_parity_of_neurons import close, drawn, numbers, redrawn

GIVEN = numbers("wise")
PLACE = Place(GIVEN["layer"], "down")
CONFIG = WritingConfig.model_validate(GIVEN["config"])


@pytest.fixture
def tiny(mllm: MLLM) -> MLLM:
    return redrawn(mllm)


def everywhere(mllm: MLLM, query: Query, name: str) -> Tensor:
    """What goes into a module at all positions of a query, those of the answer too."""
    kept: list[Tensor] = []

    def keep(_: Batch, x: Tensor, y: Tensor) -> Tensor:
        kept.append(x[0].clone())
        return y

    with hooked(mllm, {name: keep}):
        mllm.score([query])
    return kept[0]


def published(scored: list[Scored]) -> Tensor:
    """The loss on answers with the position more that EasyEdit counts."""
    shares = torch.tensor([len(one.target_ids) / (len(one.target_ids) + 1) for one in scored])
    return target_nll(scored) * shares


def wish(mllm: MLLM, *told: list[str]) -> Wish:
    queries = [Query(None, prompt, target) for prompt, target in told]
    inputs, other = (everywhere(mllm, query, PLACE.linear(mllm).name) for query in queries)
    return Wish(mllm.below(queries[:1], PLACE.layer), inputs, [other])


def test_the_loss_is_that_of_easyedit_but_for_a_position_more(tiny: MLLM) -> None:
    linear = PLACE.linear(tiny).module
    linear.bias.data.zero_()
    told = wish(tiny, GIVEN["edits"][0], GIVEN["untouched"][0])
    nothing = torch.zeros_like(linear.weight)
    moving = Moving(tiny, PLACE, [[told.inputs, *told.untouched]], nothing.dtype)
    (moved,) = margins(moving.by(nothing[None], [0]), CONFIG)
    scored = tiny.score(told.query)
    first = GIVEN["published"]["first_loss"]
    close(published(scored)[0] + moved, first["published"], 1e-6)
    close(target_nll(scored)[0] + moved, first["ours"], 1e-6)


def test_a_side_memory_is_written_as_by_easyedit(tiny: MLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editors.gating.writing.target_nll", published)
    linear = PLACE.linear(tiny).module
    linear.bias.data.zero_()
    seed, below = GIVEN["mask"]
    mask = drawn(seed, *linear.weight.shape) < below
    change = torch.zeros_like(linear.weight)
    for edit, untouched, written in zip(GIVEN["edits"], GIVEN["untouched"], GIVEN["written"], strict=True):
        (change,) = write(tiny, PLACE, CONFIG, [wish(tiny, edit, untouched)], change[None], mask)
        close(change.norm(), written["norm"], 1e-6)
        close(change.sum(), written["sum"], 1e-6)
        close(change[0, :6], written["first"], 1e-8)
        close(change[~mask].abs().max(), written["outside"], 1e-10)


def test_side_memories_are_merged_as_by_easyedit() -> None:
    for case in GIVEN["merges"]:
        changes = [drawn(100 + number, 6, 9) for number in range(len(case["weights"]))]
        close(merged(changes, case["weights"], 0.53).flatten(), case["merged"], 1e-12)
