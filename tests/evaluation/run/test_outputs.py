"""What is kept of a model's logits, under an edit too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch

from editors.base import Editor, Model
from editors.patches.weights import WeightPatch
from evaluation.data.cases import Case
from evaluation.data.probes import ANSWER_TOKENS, CAPTION_TOKENS, edit_of
from evaluation.protocols.metrics import kl_divergence
from evaluation.protocols.output import Output
from evaluation.run.judging import Judging
from evaluation.run.outputs import EVENTS, RANKS


def test_divergence_is_told_by_what_was_likely_before_the_edit(
    cases: list[Case], make_judging: Callable[..., Judging], make_editor: Callable[[str], Editor]
) -> None:
    judging, editor = make_judging(), make_editor("low rank")
    editor.strength = 2.0  # type: ignore[attr-defined]
    probes = [probe for probe in judging.probes(cases[0]) if probe.is_locality]
    queries = [probe.query for probe in probes]
    before = judging.base.of(probes)
    old = judging.mllm.score(queries)
    patch = editor.plan(judging.mllm, [edit_of(cases[0], judging.mllm)])
    with patch.applied(judging.mllm) as model:
        after = judging.measure(lambda _: nullcontext(model), probes, queries, before)
        new = model.score(queries)
    for known, found, left, right in zip(before, after, old, new, strict=True):
        assert known.spread is not None
        assert found.spread is not None
        one, other = (side.target_logits.double().log_softmax(dim=-1) for side in (left, right))
        whole = float((one.exp() * (one - other)).sum(dim=-1).mean())
        told = kl_divergence(known.spread, found.spread)
        likely = one.topk(EVENTS, dim=-1).indices
        assert told == pytest.approx(_of_events(one, other, likely), abs=1e-3)
        # The rest of the tokens as one event lose little; those likely after the edit would lose much more.
        assert whole - 1e-3 < told <= whole + 1e-4
        assert _of_events(one, other, other.topk(EVENTS, dim=-1).indices) < told - 1.0


def test_reduced_in_parts_the_outputs_are_the_same_and_no_spread_is_told_that_nobody_asked_for(
    cases: list[Case], make_judging: Callable[..., Judging], monkeypatch: pytest.MonkeyPatch
) -> None:
    judging, legacy = make_judging(), make_judging(("legacy",))
    probes = [probe for case in cases for probe in judging.probes(case)]
    queries = [probe.query for probe in probes]

    def outputs(of: Judging) -> list[Output]:
        return of.measure(lambda _: nullcontext(of.mllm), probes, queries)

    whole = outputs(judging)
    monkeypatch.setattr("evaluation.run.outputs.REDUCED_BYTES", 1)
    for one, other, plain in zip(whole, outputs(judging), outputs(legacy), strict=True):
        for name in ("target", "predicted", "log_probs", "top", "events", "spread"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.top, plain.top)
        assert plain.spread is None
    assert sum(one.spread is not None for one in whole) == sum(probe.is_locality for probe in probes)


def test_answers_of_one_length_are_written_together(
    cases: list[Case], make_judging: Callable[..., Judging]
) -> None:
    judging = make_judging(("wild",))
    # A caption's own probes are longer than those of what it shall not change.
    probes = [probe for case in cases[4:] for probe in judging.probes(case)]
    lent: list[list[int]] = []

    def lend(indices: Sequence[int]) -> AbstractContextManager[Model]:
        lent.append([probes[i].new_tokens for i in indices])
        return nullcontext(judging.mllm)

    judging.measure(lend, probes, [probe.query for probe in probes])
    # First all are scored.
    assert lent[1:] == [[ANSWER_TOKENS] * 2, [CAPTION_TOKENS] * 6]


def test_of_equally_likely_tokens_one_rule_chooses_the_first(
    cases: list[Case], make_judging: Callable[..., Judging]
) -> None:
    judging = make_judging()
    # The head is tied to them: where they are nothing, all tokens are equally likely.
    head = {name: -one.detach() for name, one in judging.mllm.part("*.embed_tokens.weight").items()}
    probes = [probe for probe in judging.probes(cases[0]) if probe.is_locality]
    with WeightPatch(head).applied(judging.mllm) as model:
        outputs = judging.measure(lambda _: nullcontext(model), probes, [probe.query for probe in probes])
    for output in outputs:
        assert output.top is not None
        assert not output.predicted.any()
        assert not output.top[:, 0].any()
        assert all(len(set(row)) == RANKS for row in output.top.tolist())


def _of_events(one: torch.Tensor, other: torch.Tensor, events: torch.Tensor) -> float:
    """KL of some tokens and all others together, written down again."""
    kept = [side.exp().gather(1, events) for side in (one, other)]
    old, new = (torch.cat([side, 1 - side.sum(dim=1, keepdim=True)], dim=1).numpy() for side in kept)
    return float((old * np.log(old / new)).sum(axis=1).mean())
