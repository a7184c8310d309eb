"""Fine-tuning on a dataset, on the tiny random BLIP-2."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch

from editors.base import Edit, Whole
from editors.ft import FT, FTConfig
from editors.ftdataset import FTDataset, FTDatasetConfig
from editors.patches.weights import WeightPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.editors.test_ft import gradients, loss


def plan(mllm: MLLM, edits: list[Edit], **options: Any) -> WeightPatch:
    return FTDataset(FTDatasetConfig(**options)).plan(mllm, edits)


def test_the_published_settings() -> None:
    config = FTDatasetConfig()
    assert (config.part, config.optimizer, config.stop_below, config.norm) == ("layer.-1", "asgd", None, None)
    assert isinstance(FTDataset(config), Whole)
    assert not isinstance(FT(FTConfig()), Whole)


def test_a_step_of_asgd_is_one_of_gradient_descent(mllm: MLLM, edits: list[Edit]) -> None:
    """But for a decay of its own, 1e-4 of each weight."""
    expected = gradients(mllm, "mlp.-1", edits)
    patch = plan(mllm, edits, part="mlp.-1", lr=0.1, steps=1, batch_size=3)
    for name, gradient in expected.items():
        decay = 1e-4 * mllm.model.get_parameter(name).detach()
        torch.testing.assert_close(patch.deltas[name], -0.1 * (gradient + decay), rtol=1e-3, atol=1e-6)


def test_all_edits_come_before_any_comes_again(mllm: MLLM, edits: list[Edit]) -> None:
    editor = FTDataset(FTDatasetConfig(batch_size=2))
    queries = [edit.query for edit in edits]
    shown = [list(batch) for batch, _ in islice(editor.batches(mllm, queries, 0), 12)]
    assert [len(batch) for batch in shown] == [2, 1] * 6
    epochs = [[queries.index(one) for one in [*shown[i], *shown[i + 1]]] for i in range(0, 12, 2)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize("part", ["layer.-1", "connector"])
def test_one_patch_makes_all_edits(mllm: MLLM, edits: list[Edit], part: str) -> None:
    start = loss(mllm, edits)
    patch = plan(mllm, edits, part=part, lr=3e-2, steps=40, batch_size=2)
    assert patch.deltas.keys() == mllm.part(part).keys()
    with patch.applied(mllm):
        assert loss(mllm, edits) < start - 0.5


def test_a_part_that_sees_images_needs_some(mllm: MLLM) -> None:
    with pytest.raises(UserError, match="The part 'connector' does not act on 'who wrote"):
        plan(mllm, [Edit("text", None, "who wrote the book?", "the cat")], part="connector")
