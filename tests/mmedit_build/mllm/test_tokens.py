from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerBase

from mmedit_build.mllm import MLLM
from mmedit_build.mllm.tokens import KEPT, Tokenized


def test_texts_are_tokenized_once_and_as_the_tokenizer_does(
    mllm: MLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, asked = mllm.tokenizer, list[list[str]]()
    call = type(words).__call__

    def watched(self: PreTrainedTokenizerBase, texts: list[str], **options: bool) -> object:
        asked.append(texts)
        return call(self, texts, **options)

    monkeypatch.setattr(type(words), "__call__", watched)
    tokenized = Tokenized(words)
    found = tokenized.of(["a cat", "two boats", "a cat", "a cat"], [True, False, True, False])
    assert asked == [["a cat"], ["two boats", "a cat"]]
    again = tokenized.of(["two boats", "a house"], [False, True])
    assert asked[2:] == [["a house"]]
    monkeypatch.undo()
    for tokens, text, added in [
        *zip(found, ["a cat", "two boats", "a cat", "a cat"], [True, False, True, False], strict=True),
        *zip(again, ["two boats", "a house"], [False, True], strict=True),
    ]:
        plain = words(text, add_special_tokens=added, return_offsets_mapping=True)
        assert tokens == (plain["input_ids"], plain["offset_mapping"])


def test_the_texts_asked_for_last_are_kept(mllm: MLLM) -> None:
    tokenized = Tokenized(mllm.tokenizer)
    texts = [f"cat {number}" for number in range(KEPT + 2)]
    first = tokenized.of(texts[:1], [False])[0]
    tokenized.of(texts, [False] * len(texts))
    assert len(tokenized._kept) == KEPT
    assert (texts[-1], False) in tokenized._kept
    assert (texts[0], False) not in tokenized._kept
    assert tokenized.of(texts[:1], [False])[0] == first
