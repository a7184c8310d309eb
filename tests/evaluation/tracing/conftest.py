"""Prompts of the miniature with the answers that it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from evaluation.data.cases import Case
from evaluation.tracing.prompts import candidates, lay_out
from evaluation.tracing.runs import Runs, draw_noise
from evaluation.tracing.terms import Kind
from mmedit_build.mllm import MLLM, Query

Asked = tuple[Query, tuple[int, ...]]
"""A query with the model's answer, and its positions to be corrupted."""


@pytest.fixture(scope="session")
def asked(mllm: MLLM, cases: list[Case]) -> dict[Kind, Asked]:
    """One prompt of each kind; the subject of the fact is not its end."""
    fact = Query(None, "how many legs does a worm have")
    queries: dict[Kind, Query] = {"text": fact, "image": candidates(cases, mllm, "image")[0].probe.query}
    found: dict[Kind, Asked] = {}
    for kind, query in queries.items():
        (answer,) = mllm.generate([query])
        query = replace(query, target=answer)
        found[kind] = (query, lay_out(mllm, query, {fact.prompt: "worm"}, "content").corrupted)
    return found


@pytest.fixture
def make_runs(mllm: MLLM) -> Callable[..., Runs]:
    def make(asked: Asked, deviation: float, *, batch_size: int = 64, samples: int = 3) -> Runs:
        query, corrupted = asked
        noise = draw_noise(samples, (len(corrupted), mllm.embed_tokens.embedding_dim), deviation, seed=7)
        return Runs(mllm, query, corrupted, noise, batch_size=batch_size)

    return make


@pytest.fixture
def hooks(mllm: MLLM) -> Callable[[], int]:
    """How many forward hooks there are on the model."""

    def count() -> int:
        modules: Sequence[object] = list(mllm.model.modules())
        return sum(len(getattr(module, "_forward_hooks", ())) for module in modules)

    return count
