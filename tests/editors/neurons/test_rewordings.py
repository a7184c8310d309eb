"""The forms of a prompt, on the tiny random BLIP-2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from editors.base import Edit
from editors.neurons.rewordings import FORMS, reworded
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


def prompts(mllm: MLLM, edit: Edit, *forms: str) -> list[str]:
    return [query.prompt for query in reworded(mllm, edit, forms or FORMS, "red")]


def test_a_question_stands_in_all_forms(mllm: MLLM, edits: list[Edit]) -> None:
    told = mllm.question_prompt("what cat?")
    edit = replace(edits[0], prompt=told)
    assert prompts(mllm, edit) == [told, "what cat?", f"Look at the picture. {told}"]
    queries = reworded(mllm, edit, FORMS, "a boat")
    assert all(query.image is edit.image and query.target == "a boat" for query in queries)


def test_forms_that_are_the_same_count_once(mllm: MLLM, edits: list[Edit]) -> None:
    assert prompts(mllm, edits[1]) == ["a photo of", "Look at the picture. a photo of"]


def test_braces_in_prompts_and_forms_stay(mllm: MLLM, edits: list[Edit]) -> None:
    edit = replace(edits[0], prompt="what {question}?")
    assert prompts(mllm, edit, "{a} {prompt}", "{prompt}") == ["{a} what {question}?", "what {question}?"]


def test_forms_without_room_are_left_out(mllm: MLLM, edits: list[Edit]) -> None:
    assert prompts(mllm, edits[1], "{prompt}", "cat " * 80 + "{prompt}") == ["a photo of"]
    # The first is kept for the model to refuse: an edit must not be lost without a word.
    (query,) = reworded(mllm, edits[1], ["cat " * 80 + "{prompt}"], "red")
    with pytest.raises(UserError, match="positions"):
        mllm.score([query])
