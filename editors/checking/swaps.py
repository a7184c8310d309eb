"""Other answers of as many tokens, to be put in the place of targets."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

WORDS = 40
"""How many words are looked at to find some of one token."""


@dataclass(frozen=True, slots=True)
class Swap:
    """A query along two targets of as many tokens, of which the first `common` ones are the same."""

    one: Query
    other: Query
    common: int


def swaps(mllm: MLLM, queries: Sequence[Query], targets: Sequence[str]) -> list[Swap]:
    """Each query along its own target and along each of these, beside answers of as many tokens.

    Of those, one differs from the first token on, and where there are several words another one by the last;
    where no word has as many tokens, there is none.
    """
    words = _words(mllm, queries, targets)
    asked = [
        replace(query, target=target)
        for query in queries
        for target in dict.fromkeys((query.target, *targets))
        if target
    ]
    found = [swap for query in asked for swap in _of(mllm, query, words)]
    if not found:
        # A test that swaps nothing would be passed by anything.
        raise UserError(f"{mllm.name} has no words of as many tokens as the targets: give edits with others.")
    return found


def _of(mllm: MLLM, query: Query, words: Sequence[str]) -> list[Swap]:
    (row,) = mllm.rows([query])
    number = len(row.target_ids)
    begun = " ".join(query.target.split()[:-1])
    whole = _fitting(mllm, query, row.target_ids, (" ".join([word] * number) for word in words), 0)
    last = _fitting(mllm, query, row.target_ids, (f"{begun} {word}" for word in words), number - 1)
    return [*whole, *(last if begun else [])]


def _fitting(mllm: MLLM, query: Query, ids: Sequence[int], texts: Iterable[str], common: int) -> list[Swap]:
    """The first of the texts that has as many tokens, so many of them in common."""
    for text in texts:
        other = replace(query, target=text)
        others = mllm.rows([other])[0].target_ids
        if len(others) == len(ids) and _common(ids, others) == common:
            return [Swap(query, other, common)]
    return []


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=True))
    return next((place for place, pair in pairs if len(set(pair)) > 1), len(one))


def _words(mllm: MLLM, queries: Sequence[Query], targets: Sequence[str]) -> list[str]:
    """Words of one token, those of the targets first."""
    said = " ".join([*targets, *(query.target for query in queries), *(query.prompt for query in queries)])
    words = [word for word in dict.fromkeys(said.split()) if word.isalpha()][:WORDS]
    words += string.ascii_lowercase
    rows = mllm.rows([replace(queries[0], target=word) for word in words])
    return [word for word, row in zip(words, rows, strict=True) if len(row.target_ids) == 1]
