"""Tracing a model over two devices finds the same."""

from __future__ import annotations

import pytest
import torch

from evaluation.tracing.runs import Runs, draw_noise, trace
from evaluation.tracing.terms import Kind
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM
from tests.devices import Devices, spread
from tests.evaluation.tracing.conftest import Asked


@pytest.mark.parametrize("kind", ["text", "image"])
def test_effects_are_those_of_one_device(mllm: MLLM, asked: dict[Kind, Asked], kind: Kind) -> None:
    query, corrupted = asked[kind]
    noise = draw_noise(2, (len(corrupted), mllm.embed_tokens.embedding_dim), 0.1, seed=7)
    expected = trace(Runs(mllm, query, corrupted, noise, batch_size=64), window=2)
    with Devices():
        two = spread(MLLM.load(locate("miniature/mllm"), device="cpu"), 4)
        found = trace(Runs(two, query, corrupted, noise, batch_size=64), window=2)
    assert found.token == expected.token
    for site, effects in expected.of.items():
        torch.testing.assert_close(found.of[site].cpu(), effects, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.together[site].cpu(), expected.together[site], rtol=0, atol=1e-5)
