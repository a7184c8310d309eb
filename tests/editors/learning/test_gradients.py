"""Gradients as pairs of rows, against a plain backward pass, on the tiny random BLIP-2."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from editors.base import Edit
from editors.learning.gradients import gradients
from editors.losses import target_nll
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

LAYERS = "language_model.model.decoder.layers"
WEIGHTS = [f"{LAYERS}.{layer}.{name}.weight" for layer in (3, 5) for name in ("fc1", "fc2")]


def plain(mllm: MLLM, query: Query) -> dict[str, Tensor]:
    """The gradient of the weights, by autograd itself."""
    parameters = [mllm.model.get_parameter(name).requires_grad_(True) for name in WEIGHTS]
    with torch.enable_grad():
        found = torch.autograd.grad(target_nll(mllm.logits([query])).sum(), parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    return dict(zip(WEIGHTS, found, strict=True))


@pytest.mark.parametrize("layer", [0, 3])
@pytest.mark.parametrize("grad", [True, False])
def test_the_rows_sum_up_to_the_gradient(mllm: MLLM, probes: list[Query], layer: int, grad: bool) -> None:
    before = Snapshot(mllm)
    with torch.set_grad_enabled(grad):
        found = gradients(mllm, mllm.below(probes, layer), WEIGHTS)
    before.assert_unchanged(mllm)
    assert len(found) == len(probes)
    for query, rows in zip(probes, found, strict=True):
        assert list(rows) == WEIGHTS
        for name, gradient in plain(mllm, query).items():
            one = rows[name]
            assert gradient.abs().max() > 1e-3
            torch.testing.assert_close(one.deltas.mT @ one.inputs, gradient, rtol=1e-4, atol=1e-5)


def test_in_the_last_layer_only_the_positions_count_that_predict_the_target(
    mllm: MLLM, edits: list[Edit]
) -> None:
    queries = [edit.query for edit in edits]
    below = mllm.below(queries, 3)
    for one, rows in zip(below.rows, gradients(mllm, below, WEIGHTS), strict=True):
        assert len(rows[WEIGHTS[2]]) == len(rows[WEIGHTS[3]]) == len(one.target_ids)
        # Before it attention spreads them; the last position of all predicts nothing.
        assert len(rows[WEIGHTS[0]]) == one.length - 1
        for pair in rows.values():
            assert pair.inputs.any(dim=1).all()
            assert pair.deltas.any(dim=1).all()
            assert not pair.inputs.requires_grad
            assert not pair.deltas.requires_grad


def test_half_precision_is_widened(folder: str, edits: list[Edit]) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    (rows,) = gradients(mllm, [edits[0].query], WEIGHTS)
    assert {pair.deltas.dtype for pair in rows.values()} == {torch.float32}
    assert {pair.inputs.dtype for pair in rows.values()} == {torch.float32}


def test_a_module_that_runs_twice_is_told(mllm: MLLM, edits: list[Edit]) -> None:
    again = mllm.model.get_submodule(f"{LAYERS}.3")
    handle = again.register_forward_hook(lambda module, args, _: module.fc1(args[0].flatten(0, 1)))
    with pytest.raises(RuntimeError, match="ran twice"):
        gradients(mllm, [edits[0].query], WEIGHTS)
    handle.remove()
