"""Prompt and target tokenized apart are what they are tokenized together."""

from __future__ import annotations

import pytest
from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mmedit_build.mllm.tokenizing import answer_ids
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
@pytest.mark.parametrize(
    ("before", "ending"), [("Short answer:", ""), ("ASSISTANT:", ":"), ("model\n", "\n")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_apart_as_together(kind: str, before: str, ending: str, target: str) -> None:
    words = KINDS[kind]
    gap = " " if ending != "\n" and not target.startswith(" ") else ""
    whole = words(f"{before}{gap}{target}", add_special_tokens=False)["input_ids"]
    start = words(before, add_special_tokens=False)["input_ids"]
    assert start + answer_ids(words, [target], [ending])[0] == whole


def test_behind_a_space() -> None:
    """No second one, but for tokenizers that begin every text with one."""
    for kind, answer in (("byte level", "red"), ("gemma", "red"), ("legacy", " red"), ("always", " red")):
        words = KINDS[kind]
        tokens = "".join(words.convert_ids_to_tokens(answer_ids(words, ["red"], [" "])[0]))
        assert tokens.replace("\u2581", " ") == answer


def test_many_at_once_as_each_alone() -> None:
    targets, endings = ["red", "", "two trees", "red"], ["", ":", "\n", " "]
    for words in KINDS.values():
        pairs = zip(targets, endings, strict=True)
        alone = [answer_ids(words, [target], [ending])[0] for target, ending in pairs]
        assert answer_ids(words, targets, endings) == alone
