"""The editor that cannot fail."""

from __future__ import annotations

from dataclasses import replace

import torch

from editors.base import Edit
from editors.oracle import Oracle, OracleConfig
from mmedit_build.mllm import MLLM, Query


def test_it_answers_the_edit_and_nothing_else(mllm: MLLM, edits: list[Edit], probes: list[Query]) -> None:
    patch = Oracle(OracleConfig()).plan(mllm, edits[:1])
    others = [query for query in probes if (query.image, query.prompt) != (edits[0].image, edits[0].prompt)]
    plain, said = mllm.score(others, positions="all"), mllm.generate(others, max_new_tokens=6)
    with patch.applied(mllm) as model:
        (sure,) = model.score([edits[0].query])
        (same,) = model.score([edits[0].query], positions="all")
        assert model.generate([replace(edits[0].query, target="")]) == [edits[0].target]
        pairs = zip(plain, model.score(others, positions="all"), strict=True)
        assert all(torch.equal(a.logits, b.logits) for a, b in pairs)
        assert model.generate(others, max_new_tokens=6) == said
    assert sure.log_prob.item() == same.log_prob.item() == 0.0
    assert torch.equal(sure.argmax, sure.target_ids)
    assert len(same.logits) > len(sure.logits)


def test_another_target_is_as_unlikely_as_can_be(mllm: MLLM, edits: list[Edit]) -> None:
    with Oracle(OracleConfig()).plan(mllm, edits[:1]).applied(mllm) as model:
        (wrong,) = model.score([replace(edits[0].query, target="red")])
    assert wrong.log_prob.item() < -100


def test_it_can_be_told_what_else_belongs_to_an_edit(mllm: MLLM, edits: list[Edit]) -> None:
    oracle = Oracle(OracleConfig())
    rephrase = Query(edits[1].image, "what is here?", edits[0].target)
    oracle.tell(edits[0].id, [rephrase])
    with oracle.plan(mllm, edits[:1]).applied(mllm) as model:
        assert model.score([rephrase])[0].log_prob.item() == 0.0
    with oracle.plan(mllm, edits[1:2]).applied(mllm) as model:
        assert model.score([rephrase])[0].log_prob.item() < -0.1
