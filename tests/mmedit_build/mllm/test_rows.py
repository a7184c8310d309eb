from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.rows import Row, batches, check_lengths, make_rows, pad_left


@pytest.fixture
def tokenizer(mllm: MLLM) -> PreTrainedTokenizerBase:
    return mllm.tokenizer


def test_layout(tokenizer: PreTrainedTokenizerBase) -> None:
    image = b"not looked at"
    queries = [Query(image, "the cat", "red"), Query(None, "the cat", "red")]
    with_image, without = make_rows(tokenizer, queries, 5, targets=True)
    assert without.n_image == 0
    assert without.prompt_ids == tuple(tokenizer("the cat")["input_ids"])
    assert without.prompt_ids[0] == tokenizer.bos_token_id
    assert (with_image.n_image, with_image.prompt_ids) == (5, without.prompt_ids)
    assert with_image.length == 5 + without.length
    assert with_image.prompt_length + len(with_image.target_ids) == with_image.length


def test_nothing_begins_a_row_where_that_is_wished(tokenizer: PreTrainedTokenizerBase) -> None:
    queries = [Query(b"not looked at", "the cat", "red"), Query(None, "the cat", "red")]
    for row, plain in zip(
        make_rows(tokenizer, queries, 5, targets=True, bos=False),
        make_rows(tokenizer, queries, 5, targets=True),
        strict=True,
    ):
        assert (row.n_image, row.target_ids) == (plain.n_image, plain.target_ids)
        assert row.prompt_ids == plain.prompt_ids[1:]


def test_targets_get_one_leading_space(tokenizer: PreTrainedTokenizerBase) -> None:
    targets = ["red", " red", "\nred", ""]
    rows = make_rows(tokenizer, [Query(None, "is it", target) for target in targets], 5, targets=True)
    assert [tokenizer.decode(list(row.target_ids)) for row in rows] == [" red", " red", "\nred", ""]


def test_the_prompt_does_not_depend_on_the_target(tokenizer: PreTrainedTokenizerBase) -> None:
    """Even where the two together would be tokenized across the border."""
    alone, together = tokenizer("is it\n")["input_ids"], tokenizer("is it\n\n")["input_ids"]
    assert alone != together[: len(alone)]
    (row,) = make_rows(tokenizer, [Query(None, "is it\n", "\n")], 5, targets=True)
    assert row.prompt_ids == tuple(alone)


def test_targets_can_be_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    (row,) = make_rows(tokenizer, [Query(None, "is it", "red")], 5, targets=False)
    assert row.target_ids == ()


def test_a_row_of_nothing_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="neither image nor prompt"):
        make_rows(tokenizer, [Query(None, "", "red")], 5, targets=True, bos=False)


def test_batches_hold_rows_of_similar_length() -> None:
    assert list(batches([3, 9, 4, 8, 1], 2)) == [[1, 3], [2, 0], [4]]
    assert list(batches([], 2)) == []


def test_pad_left_aligns_the_ends() -> None:
    stacked, valid = pad_left([torch.ones(1, 2), torch.full((3, 2), 2.0)])
    assert stacked[:, :, 0].tolist() == [[0, 0, 1], [2, 2, 2]]
    assert valid.tolist() == [[False, False, True], [True, True, True]]


def test_check_lengths() -> None:
    check_lengths([10, 12], ["a", "b"], 4, 16)
    check_lengths([], [], 0, 3)
    with pytest.raises(UserError, match="'long' with 5 new tokens takes 17 positions but the model has 16"):
        check_lengths([10, 12], ["short", "long"], 5, 16)


def test_a_query_that_is_too_long_is_quoted_in_part() -> None:
    with pytest.raises(UserError) as caught:
        check_lengths([700], ["what " * 600], 0, 512)
    assert str(caught.value).startswith("The query 'what what")
    assert len(str(caught.value)) < 160


def test_row_lengths() -> None:
    row = Row(5, (2, 8), (9, 9, 9))
    assert (row.prompt_length, row.length) == (7, 10)
