from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.passes import Passes

WORDS = ("a", "tree", "the cat", "who wrote it?", "red boats on the water", "two", "a house", "b")


@pytest.fixture
def prompts(mllm: MLLM, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Eight texts, whose answers have from one token to six."""
    queries = [Query(None, word) for word in WORDS]
    # What ends an answer of random weights is chosen so.
    said = [one.token_log_probs for one in mllm.write(queries, max_new_tokens=6)]
    assert {len(one) for one in said} == {6}
    firsts = [_tokens(mllm, query)[place] for place, query in zip((0, 2, 4), queries[::3], strict=True)]
    monkeypatch.setattr(MLLM, "stop_ids", tuple(firsts))
    return queries


def _tokens(mllm: MLLM, query: Query) -> list[int]:
    found: list[int] = []
    for _ in range(6):
        ids = torch.tensor([[*mllm.rows([query])[0].ids, *found]])
        model: Any = mllm.model.get_submodule("language_model")
        found.append(int(model(input_ids=ids).logits[0, -1].argmax()))
    return found


@pytest.mark.parametrize("room", [1, 2, 3, 5, 8])
def test_what_is_written_does_not_depend_on_what_is_beside_it(
    mllm: MLLM, prompts: list[Query], room: int
) -> None:
    alone = [mllm.write([query], max_new_tokens=6)[0] for query in prompts]
    together = mllm.write(prompts, max_new_tokens=6, batch_size=room)
    assert [one.text for one in together] == [one.text for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)


def test_rows_that_are_done_are_not_gone_on_with(mllm: MLLM, prompts: list[Query]) -> None:
    tokens = [len(one.token_log_probs) for one in mllm.write(prompts, max_new_tokens=6)]
    before = mllm.counts.layers
    mllm.write(prompts, max_new_tokens=6, batch_size=4)
    run = (mllm.counts.layers - before) / mllm.n_layers
    steps = sum(min(one + 1, 6) for one in tokens)
    # Up to half of the rows that stand side by side may be done.
    assert steps <= run < 2 * steps
    mllm.layer(0).register_forward_hook(lambda *_: None)
    before = mllm.counts.layers
    mllm.write(prompts, max_new_tokens=6, batch_size=4)
    assert (mllm.counts.layers - before) / mllm.n_layers > run


def test_where_memory_is_short_fewer_stand_side_by_side(
    mllm: MLLM, prompts: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = mllm.generate(prompts, max_new_tokens=6)
    prompted, most, sizes = Passes.prompted, 2, []

    def short(passes: Passes, part: Any, indices: Sequence[int], *rest: Any) -> Any:
        sizes.append(len(indices))
        if len(indices) > most:
            raise torch.OutOfMemoryError
        return prompted(passes, part, indices, *rest)

    monkeypatch.setattr(Passes, "prompted", short)
    assert mllm.generate(prompts, max_new_tokens=6, batch_size=8) == expected
    assert sizes[:2] == [8, 2]
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        mllm.generate(prompts, max_new_tokens=6, batch_size=8)
