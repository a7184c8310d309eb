"""Prompt and target tokenized apart are what they are tokenized together."""

from __future__ import annotations

import pytest
from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mmedit_build.mllm.rows import answer_ids
from tests.zoo.tokenizers import byte_level, gemma, legacy_llama


def metaspace(scheme: str) -> PreTrainedTokenizerFast:
    words = gemma([])
    backend = words.backend_tokenizer
    backend.normalizer = None
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    return words


KINDS = {
    "byte level": byte_level([]),
    "legacy": legacy_llama([]),
    "gemma": gemma([]),
    "always": metaspace("always"),
    "first": metaspace("first"),
    "never": metaspace("never"),
}


@pytest.mark.parametrize("target", ["red", "two trees", " a boat"])
@pytest.mark.parametrize(("before", "space"), [("Short answer:", True), ("Assistant\n", False)])
@pytest.mark.parametrize("kind", KINDS)
def test_apart_as_together(kind: str, before: str, space: bool, target: str) -> None:
    words = KINDS[kind]
    gap = " " if space and not target.startswith(" ") else ""
    whole = words(f"{before}{gap}{target}", add_special_tokens=False)["input_ids"]
    start = words(before, add_special_tokens=False)["input_ids"]
    assert start + answer_ids(words, [target], [space])[0] == whole


def test_many_at_once_as_each_alone() -> None:
    targets, spaces = ["red", "", "two trees", "red"], [True, True, False, False]
    for words in KINDS.values():
        alone = [
            answer_ids(words, [target], [space])[0] for target, space in zip(targets, spaces, strict=True)
        ]
        assert answer_ids(words, targets, spaces) == alone
