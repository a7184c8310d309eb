"""Texts as tokens, the last of them remembered: one prompt is scored, continued, and asked for its room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from mmedit_build.mllm.rows import Span

KEPT = 256
"""How many texts are remembered: those of a group of edits, each of which may be a thousand tokens long."""
Tokens = tuple[Sequence[int], Sequence[Span]]
"""Ids of a text, and which of its letters each stands for."""
Key = tuple[str, bool]
"""A text, and whether the tokenizer's special tokens are added."""


class Tokenized:
    """What a tokenizer makes of texts."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Key, Tokens] = OrderedDict()

    def of(self, texts: Iterable[str], added: Iterable[bool]) -> list[Tokens]:
        """The tokens of each text; `added` tells of each whether special tokens are added."""
        keys = list(zip(texts, added, strict=True))
        found: dict[Key, Tokens] = {key: self._kept[key] for key in keys if key in self._kept}
        for special in (True, False):
            missing = list(dict.fromkeys(key for key in keys if key[1] is special and key not in found))
            if missing:
                found.update(zip(missing, self._tokens(missing, special=special), strict=True))
        self._keep(found)
        return [found[key] for key in keys]

    def _tokens(self, keys: Sequence[Key], *, special: bool) -> Iterable[Tokens]:
        encoded: Any = self._tokenizer(
            [text for text, _ in keys], add_special_tokens=special, return_offsets_mapping=True
        )
        return zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)

    def _keep(self, found: dict[Key, Tokens]) -> None:
        """Remember these as the last ones that were asked for."""
        for key, tokens in found.items():
            self._kept[key] = tokens
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
