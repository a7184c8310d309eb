"""Positions at which edits are looked up, with images in front and texts before the prompt."""

from __future__ import annotations

from dataclasses import replace

import PIL.Image
import pytest
import torch

from editors.associations.lookup import (
    STARTS,
    Lookup,
    look,
    make_contexts,
    places,
    write_prefixes,
)
from editors.base import Edit
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.rendering import RAW
from tests.editors.conftest import Snapshot

PROMPT = "Question: how many boats are on the water? Answer:"


@pytest.fixture
def wish(pictures: list[PIL.Image.Image]) -> Edit:
    return Edit("one", pictures[0], PROMPT, "two trees", subject="boats")


def looked_up(mllm: MLLM, query: Query, subject: str | None) -> tuple[int, str]:
    """Position in the row, and the text of all tokens up to it."""
    where = places(mllm, [(query, subject)], 2)
    (row,) = where.below.rows
    place = row.length + where.offsets[0]
    return place, str(mllm.tokenizer.decode(list(row.ids)[len(row.image) : place + 1]))


def test_a_subject_is_looked_up_at_its_last_token_behind_the_image(mllm: MLLM, wish: Edit) -> None:
    place, said = looked_up(mllm, wish.query, "boats")
    assert said.endswith(" how many boats")
    without, told = looked_up(mllm, replace(wish.query, image=None), "boats")
    assert told == said
    assert place == without + 5


def test_a_subject_is_found_where_no_bos_is_before_it(folder: str, mllm: MLLM, wish: Edit) -> None:
    bare = MLLM.load(folder, device="cpu", template=RAW)
    assert looked_up(bare, wish.query, "boats")[0] == looked_up(mllm, wish.query, "boats")[0] - 1


def test_the_subject_of_the_prompt_counts_not_that_of_the_text_before_it(mllm: MLLM, wish: Edit) -> None:
    query = replace(wish.query, prompt=f"two boats. {PROMPT}")
    assert looked_up(mllm, query, "boats")[1].endswith("two boats. Question: how many boats")


def test_without_a_subject_the_last_token_of_the_prompt_is_looked_up(mllm: MLLM, wish: Edit) -> None:
    for query in (wish.query, replace(wish.query, target="a"), replace(wish.query, image=None)):
        assert looked_up(mllm, query, None)[1].endswith(PROMPT)


@pytest.mark.parametrize(("lookup", "subject"), [("subject", "boats"), ("prompt", None)])
def test_prompts_of_an_edit(mllm: MLLM, wish: Edit, lookup: Lookup, subject: str | None) -> None:
    found = make_contexts(mllm, wish, ["a cat", "the"], lookup=lookup, essence="what?")
    told = [PROMPT, f"a cat. {PROMPT}", f"the. {PROMPT}"]
    assert [query.prompt for query in found.rewriting] == told
    assert all(query.image is wish.image for query in found.rewriting)
    assert found.subject == subject
    assert found.essence is not None
    assert found.essence.prompt == (subject or "Question: what? Short answer:")
    assert found.essence.image is wish.image


def test_the_essence_of_an_edit_with_neither_image_nor_subject_is_unknown(mllm: MLLM) -> None:
    bare = Edit("one", None, PROMPT, "two")
    assert make_contexts(mllm, bare, [], lookup="subject", essence="what?").essence is None


def test_texts_for_which_there_is_no_room_are_left_out(mllm: MLLM, wish: Edit) -> None:
    found = make_contexts(mllm, wish, ["cat " * 60, "the"], lookup="subject", essence="what?")
    assert len(found.rewriting) == 2


@pytest.mark.parametrize("subject", ["houses", " "])
def test_a_subject_that_is_not_in_the_prompt_is_told(mllm: MLLM, wish: Edit, subject: str) -> None:
    with pytest.raises(UserError, match=r"subject .* of edit one is not in its prompt"):
        make_contexts(mllm, replace(wish, subject=subject), [], lookup="subject", essence="what?")


def test_what_modules_take_in_and_give_out(mllm: MLLM, mixture: list[Query]) -> None:
    where = places(mllm, [(query, None) for query in mixture], 2)
    name = mllm.mlp(3).down.name
    seen = look(mllm, where, [name, mllm.layer_name(4)])
    # One query at a time the rows have no padding, and the position can be told by hand.
    for number, query in enumerate(mixture):
        below = mllm.below([query], 5)
        last = below.rows[0].prompt_length - 1
        expected = below.hidden[0][last]
        torch.testing.assert_close(seen[mllm.layer_name(4)].outputs[number], expected)
    down = mllm.mlp(3).down.module
    torch.testing.assert_close(down(seen[name].inputs), seen[name].outputs)


def test_texts_are_drawn_from_the_model(mllm: MLLM) -> None:
    before = Snapshot(mllm)
    texts = write_prefixes(mllm, [4] * 7, seed=0)
    before.assert_unchanged(mllm)
    assert [text.startswith(STARTS[number % 5]) for number, text in enumerate(texts)] == [True] * 7
    assert len(set(texts)) == 7
    assert write_prefixes(mllm, [4] * 7, seed=0) == texts
    assert write_prefixes(mllm, [4] * 7, seed=1) != texts
    assert write_prefixes(mllm, [], seed=0) == []


def test_texts_may_have_different_lengths(mllm: MLLM) -> None:
    short, long = write_prefixes(mllm, [2, 2], seed=0), write_prefixes(mllm, [6, 2], seed=0)
    assert long[1] == short[1]
    assert long[0].startswith(short[0])
    assert len(mllm.tokenizer(long[0])["input_ids"]) > len(mllm.tokenizer(short[0])["input_ids"])
