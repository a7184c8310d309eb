from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import pytest
import torch
from torch import Tensor

from editors.areas import Area
from editors.base import State
from editors.patches.gated import GatedPatch, Held
from editors.patches.hooks import Hook, hooked
from editors.patches.places import answering, of_image, of_text, prompt_ends
from mmedit_build.mllm import MLLM, Batch, Query


class Push(GatedPatch):
    """Adds to what an MLP says of answers after prompts whose end has a positive fourth number."""

    changed = 0

    def __init__(self) -> None:
        self.decided: list[bool] = []

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        held: Held[Tensor] = Held()

        def push(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            def decide() -> Tensor:
                ends = y[torch.arange(len(y)), prompt_ends(batch)]
                self.decided += (ends[:, 3] > 0).tolist()
                return ends[:, 3] > 0

            gate = held.of(batch, x.shape[1], decide)[:, None] & answering(batch, x.shape[1])
            return y + 3.0 * gate[..., None]

        return {mllm.mlp(-2).down.name: push}

    def touched(self, mllm: MLLM) -> Area:
        return {"a test": (mllm.layer_index(-2),)}

    def state(self) -> State:
        return State()

    @classmethod
    def from_state(cls, state: State) -> Self:
        raise NotImplementedError


def test_what_is_written_in_a_call_of_its_own_is_what_is_written_at_once(
    mllm: MLLM, mixture: list[Query]
) -> None:
    patch = Push()
    with patch.applied(mllm) as model:
        scored = model.score(mixture)
        written = model.write(mixture, max_new_tokens=5)
        assert set(patch.decided) == {True, False}
        patch.decided.clear()
        asked, lifted = model.lifted(mllm.below(mixture, 1, for_generation=True), new_tokens=5)
        for one, other in zip(scored, asked.score(lifted), strict=True):
            torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)
        assert [one.text for one in asked.write(lifted, max_new_tokens=5)] == [one.text for one in written]
    # Afterwards all that queries share may be done beforehand again.
    assert mllm.lifted(mixture)[1].layer == mllm.n_layers


def test_a_gate_that_has_not_seen_the_prompts_says_so(mllm: MLLM, mixture: list[Query]) -> None:
    whole = mllm.below(mixture, mllm.n_layers, for_generation=True)
    with Push().applied(mllm) as model, pytest.raises(RuntimeError, match="has not seen"):
        model.write(whole, max_new_tokens=5)


def test_places_of_a_batch(mllm: MLLM, mixture: list[Query]) -> None:
    seen: list[Batch] = []

    def see(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        seen.append(batch)
        return y

    with hooked(mllm, {mllm.mlp(0).down.name: see}):
        mllm.score(mixture)
    for batch in seen:
        image, text, ends = of_image(batch), of_text(batch), prompt_ends(batch)
        for i, row in enumerate(batch.rows):
            start = batch.valid.shape[1] - row.length
            assert image[i].nonzero()[:, 0].tolist() == [start + place for place in row.image]
            assert int(ends[i]) == start + row.prompt_length - 1
            assert int((image[i] | text[i]).sum()) == row.prompt_length
            assert not bool((image[i] & text[i]).any())
            answers = answering(batch, batch.valid.shape[1])[i]
            assert int(answers.sum()) == row.length - row.prompt_length + 1
