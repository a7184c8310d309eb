from __future__ import annotations

from dataclasses import replace

import pytest

from editors.base import TrainEdit
from editors.checking.swaps import swaps
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query


def tokens(mllm: MLLM, query: Query) -> tuple[int, ...]:
    return mllm.rows([query])[0].target_ids


def test_other_answers_have_as_many_tokens_and_share_what_they_say(
    miniature: MLLM, world: list[TrainEdit]
) -> None:
    query = replace(world[0].edit.query, target="a red house")
    found = swaps(miniature, [query], ["two"])
    assert [(swap.one.target, swap.common) for swap in found] == [
        ("a red house", 0),
        ("a red house", len(tokens(miniature, query)) - 1),
        ("two", 0),
    ]
    for swap in found:
        one, other = tokens(miniature, swap.one), tokens(miniature, swap.other)
        assert len(one) == len(other)
        assert one[: swap.common] == other[: swap.common]
        assert one[swap.common] != other[swap.common]
        assert replace(swap.other, target=swap.one.target) == swap.one


def test_a_query_without_a_target_is_put_along_those_of_the_edits(
    miniature: MLLM, world: list[TrainEdit]
) -> None:
    found = swaps(miniature, [replace(world[0].edit.query, target="")], ["two"])
    assert [swap.one.target for swap in found] == ["two"]


def test_a_test_that_would_swap_nothing_is_refused(
    miniature: MLLM, world: list[TrainEdit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("editors.checking.swaps._words", lambda *_: [])
    with pytest.raises(UserError, match="has no words of as many tokens as the targets"):
        swaps(miniature, [world[0].edit.query], [])
