"""Where an edit is looked up in a model, and the prompts that it is learned on: ROME's and all after it.

A fact is looked up at the last token of its subject or, by choice or where an edit has none, at the last
token of the prompt. Prompts with a text before theirs make what is learned there hold in other contexts too;
the image stays in front of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Literal

import torch
from torch import Tensor

from editors.base import Edit
from editors.patches.hooks import Hook, hooked
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Below, Query
from mmedit_build.mllm.rows import Row

Lookup = Literal["subject", "prompt"]
STARTS = ("The", "Therefore", "Because", "I", "You")
"""How texts begin that a model writes to stand before prompts."""
TOP = 5
"""The most likely tokens, from which each next one of such a text is drawn."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """The prompts that an edit is learned on."""

    rewriting: tuple[Query, ...]
    """The edit's own query, then the same with texts before its prompt."""
    essence: Query | None
    """What shall be answered as before. It ends where it is looked up; its target means nothing."""
    subject: str | None
    """What the rewriting prompts are looked up by; None looks at their last token."""


def make_contexts(
    mllm: MLLM, edit: Edit, prefixes: Sequence[str], *, lookup: Lookup, essence: str
) -> Contexts:
    """The prompts of an edit.

    Its essence is its subject ("{subject} is a", of which the looked-up position sees no more). Without a
    subject, the image stands for it: `essence` is a question about the image, that the edit does not ask.
    Without either, there is none.
    """
    subject = None if edit.subject is None else edit.subject.strip()
    if subject is not None and (not subject or subject not in edit.prompt):
        raise UserError(
            f"The subject {subject!r} of edit {edit.id} is not in its prompt {shorten(edit.prompt, 60)!r}: "
            "give it as it stands there, or none."
        )
    found = subject if lookup == "subject" else None
    asked = edit.query
    others = [replace(asked, prompt=f"{prefix}. {asked.prompt}") for prefix in prefixes]
    fitting = [query for query, room in zip(others, mllm.have_room(others), strict=True) if room]
    kept = None
    if found is not None:
        # Nothing follows the subject, as a chat turn would.
        kept = replace(asked, prompt=found, form="plain")
    elif asked.image is not None:
        kept = replace(asked, prompt=mllm.question_prompt(essence))
    return Contexts((asked, *fitting), kept, found)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Queries known up to a layer, with the position at which each is looked up."""

    below: Below
    offsets: tuple[int, ...]
    """Counted from the end of the row, so that they are negative."""

    def take(self, indices: Sequence[int]) -> Places:
        """The chosen queries, in the order chosen."""
        return Places(self.below.take(indices), tuple(self.offsets[i] for i in indices))

    def at(self, batch: Batch, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """The indices of the looked-up cells in a tensor (rows, positions, width) of a running batch."""
        columns = [tensor.shape[1] + self.offsets[index] for index in batch.indices]
        return torch.arange(len(columns), device=tensor.device), torch.tensor(columns, device=tensor.device)


def places(mllm: MLLM, queries: Sequence[tuple[Query, str | None]], layer: int) -> Places:
    """Queries with the subjects that they are looked up by."""
    below = mllm.below([query for query, _ in queries], layer)
    offsets = [
        -len(row.target_ids) - 1 if subject is None else _after_subject(query, row, subject)
        for (query, subject), row in zip(queries, below.rows, strict=True)
    ]
    return Places(below, tuple(offsets))


def _after_subject(query: Query, row: Row, subject: str) -> int:
    """The position of the token that holds the subject's last letter, from the end of the row."""
    # The last time that it occurs: a text before the prompt may happen to hold it too.
    letter = query.prompt.rindex(subject) + len(subject) - 1
    place = next(i for i, span in enumerate(row.letters) if span and span[0] <= letter < span[1])
    return place - row.length


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What went into a module and came out of it where queries are looked up (queries, width)."""

    inputs: Tensor
    outputs: Tensor


def look(mllm: MLLM, where: Places, names: Sequence[str]) -> dict[str, Looked]:
    """What the named modules, of the layer that is known or above it, take in and give out."""
    found: dict[str, dict[int, tuple[Tensor, Tensor]]] = {name: {} for name in names}

    def looking(name: str) -> Hook:
        def hook(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            pairs = zip(x[where.at(batch, x)], y[where.at(batch, y)], strict=True)
            found[name].update(zip(batch.indices, pairs, strict=True))
            return y

        return hook

    with hooked(mllm, {name: looking(name) for name in names}):
        mllm.score(where.below)
    return {name: _looked(seen) for name, seen in found.items()}


def _looked(seen: Mapping[int, tuple[Tensor, Tensor]]) -> Looked:
    inputs, outputs = zip(*(seen[index] for index in range(len(seen))), strict=True)
    return Looked(torch.stack(inputs), torch.stack(outputs))


def write_prefixes(mllm: MLLM, lengths: Sequence[int], seed: int) -> list[str]:
    """Texts drawn from the model, to stand before prompts: so many tokens of each after its first word."""
    random = torch.Generator().manual_seed(seed)
    texts = [STARTS[index % len(STARTS)] for index in range(len(lengths))]
    for written in range(max(lengths, default=0)):
        growing = [index for index, length in enumerate(lengths) if length > written]
        scored = mllm.score([Query(None, texts[index]) for index in growing], positions="all")
        best = [one.logits[-1].cpu().topk(TOP) for one in scored]
        drawn = [torch.multinomial(one.values.softmax(dim=0), 1, generator=random) for one in best]
        ids = [one.indices[place].tolist() for one, place in zip(best, drawn, strict=True)]
        for index, one in zip(growing, ids, strict=True):
            texts[index] += str(mllm.tokenizer.decode(one, skip_special_tokens=True))
    return [" ".join(text.split()) for text in texts]
