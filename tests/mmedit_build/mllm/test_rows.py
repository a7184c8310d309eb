from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.rows import NOWHERE, Row, Said, check_lengths, pad_left


@pytest.fixture
def tokenizer(mllm: MLLM) -> PreTrainedTokenizerBase:
    return mllm.tokenizer


def test_layout(mllm: MLLM, tokenizer: PreTrainedTokenizerBase) -> None:
    image = b"not looked at"
    queries = [Query(image, "the cat", "red"), Query(None, "the cat", "red")]
    with_image, without = mllm.rows(queries)
    assert without.image == ()
    assert without.ids[: without.prompt_length] == tuple(tokenizer("the cat")["input_ids"])
    assert without.ids[0] == tokenizer.bos_token_id
    assert with_image.image == (0, 1, 2, 3, 4)
    assert with_image.ids[5:] == without.ids
    assert with_image.positions.tolist() == list(range(with_image.length))
    assert with_image.letters[:6] == (None,) * 6
    spelled = ["the cat"[slice(*span)] for span in with_image.letters[6:] if span]
    assert "".join(spelled) == "thecat"
    assert with_image.prompt_length + len(with_image.target_ids) == with_image.length


def test_targets_get_one_leading_space(mllm: MLLM, tokenizer: PreTrainedTokenizerBase) -> None:
    targets = ["red", " red", "\nred", ""]
    rows = mllm.rows([Query(None, "is it", target) for target in targets])
    assert [tokenizer.decode(list(row.target_ids)) for row in rows] == [" red", " red", "\nred", ""]


def test_the_prompt_does_not_depend_on_the_target(mllm: MLLM, tokenizer: PreTrainedTokenizerBase) -> None:
    """Even where the two together would be tokenized across the border."""
    alone, together = tokenizer("is it\n")["input_ids"], tokenizer("is it\n\n")["input_ids"]
    assert alone != together[: len(alone)]
    (row,) = mllm.rows([Query(None, "is it\n", "\n")])
    assert row.ids[: row.prompt_length] == tuple(alone)


def test_targets_can_be_left_out(mllm: MLLM) -> None:
    (row,) = mllm.rows([Query(None, "is it", "red")], targets=False)
    assert row.target_ids == ()


def test_nothing_begins_a_row_where_that_is_wished(folder: str, mllm: MLLM) -> None:
    bare = MLLM.load(folder, device="cpu", template="raw")
    queries = [Query(b"not looked at", "the cat", "red"), Query(None, "the cat", "red")]
    for row, plain in zip(bare.rows(queries), mllm.rows(queries), strict=True):
        assert (row.image, row.target_ids) == (plain.image, plain.target_ids)
        start = len(plain.image)
        assert row.ids[start:] == plain.ids[start + 1 :]


def test_a_row_of_nothing_is_refused(folder: str) -> None:
    mllm = MLLM.load(folder, device="cpu", template="raw")
    with pytest.raises(UserError, match="neither image nor prompt"):
        mllm.rows([Query(None, "", "red")])


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
    row = Row((0, 0, 2, 8, 9, 9, 9), 4, (0, 1), torch.arange(7), Said("x", 0, [NOWHERE] * 3 + [(0, 1)]))
    assert (row.prompt_length, row.length, row.target_ids, row.following) == (4, 7, (9, 9, 9), 4)
    cut = row.cut(1)
    assert (cut.prompt_length, cut.length, cut.target_ids, cut.following) == (4, 5, (9,), 4)
    assert cut.positions.tolist() == [0, 1, 2, 3, 4]
