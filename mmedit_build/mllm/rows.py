"""Rows of token ids, which queries become, and rows as padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import shorten

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmedit_build.errors import UserError

SHOWN = 60
"""How many letters of a query an error quotes."""
Span = tuple[int, int]
NOWHERE: Span = (0, 0)
"""Of what no text stands behind."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What an image is in a row: its text, in which placeholders stand for features, and how many each."""

    text: str
    counts: tuple[int, ...]
    grid: tuple[int, int, int] | None = None
    """Patches over time, height and width, where positions depend on them."""

    @property
    def length(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Said:
    """The user's text, and which part of the whole prompt each position holds."""

    prompt: str
    start: int
    """Where the user's text begins in the whole."""
    spans: Sequence[Span]

    @property
    def letters(self) -> tuple[Span | None, ...]:
        """For each position, which letters of the user's text stand there; None for other text.

        Without the space before a word that some tokenizers count in. Few ask, so it is not kept.
        """
        return tuple(self._letters(span) for span in self.spans)

    def _letters(self, span: Span) -> Span | None:
        first, end = max(span[0] - self.start, 0), min(span[1] - self.start, len(self.prompt))
        first = end - len(self.prompt[first:end].lstrip()) if first < end else first
        return (first, end) if first < end else None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The positions of one query: those of the prompt, in which image features may stand, then the target."""

    ids: tuple[int, ...]
    """Of all positions; placeholders where the image is."""
    prompt_length: int
    """Positions before the target."""
    image: tuple[int, ...]
    """Where the features of the image stand, in their order."""
    positions: Tensor
    """As the text model counts them: (length), or (axes, length) of one that counts along several axes."""
    said: Said
    """What stands at the positions of the prompt."""

    @property
    def letters(self) -> tuple[Span | None, ...]:
        """For each position of the prompt, which letters of the user's text stand there."""
        return self.said.letters

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def target_ids(self) -> tuple[int, ...]:
        return self.ids[self.prompt_length :]

    @property
    def following(self) -> int:
        """The position of what comes after the prompt."""
        return int(self.positions[..., : self.prompt_length].max()) + 1

    def begun(self, length: int) -> Row:
        """Its first positions alone, as a prompt that an image stands in whole or not at all."""
        image = self.image if self.image and self.image[-1] < length else ()
        return replace(
            self,
            ids=self.ids[:length],
            prompt_length=length,
            image=image,
            positions=self.positions[..., :length],
        )

    def since(self, start: int) -> Row:
        """Its positions from one on that lies in the prompt and behind the image, as a row of its own."""
        return replace(
            self,
            ids=self.ids[start:],
            prompt_length=self.prompt_length - start,
            image=(),
            positions=self.positions[..., start:],
            said=replace(self.said, spans=self.said.spans[start:]),
        )

    def cut(self, targets: int) -> Row:
        """The row with so many tokens of its target."""
        end = self.prompt_length + targets
        return replace(self, ids=self.ids[:end], positions=self.positions[..., :end])


def check_lengths(lengths: Sequence[int], prompts: Sequence[str], new_tokens: int, limit: int) -> None:
    """Refuse rows that would run past the last position the model has."""
    for length, prompt in zip(lengths, prompts, strict=True):
        if length + new_tokens > limit:
            wish = f" with {new_tokens} new tokens" if new_tokens else ""
            raise UserError(
                f"The query {shorten(prompt, SHOWN)!r}{wish} takes {length + new_tokens} positions but the "
                f"model has {limit}: shorten it."
            )


def pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack rows (L_i, ...) as (B, T, ...), aligned at their ends, and say which cells (B, T) are real."""
    stacked = pad_sequence(list(rows), batch_first=True, padding_side="left")
    return stacked, cells([len(row) for row in rows], stacked.device)


def cells(lengths: Sequence[int], device: torch.device) -> Tensor:
    """Which cells (B, T) of rows that end in the same column are real."""
    width = max(lengths)
    starts = torch.tensor([width - length for length in lengths], device=device)
    return torch.arange(width, device=device) >= starts[:, None]
