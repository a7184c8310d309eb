"""What LiveEdit learns: to write experts for edits, and to read which of them a query needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from editors.learning.attention import Attention
from editors.learning.training import seeded
from editors.patches.places import asking, of_answer, of_image
from mmedit_build.mllm import Batch

SCALE = 5.0
"""By how much what is generated is smaller than what the attention gives, and by the root of the rank."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What leaves a layer for queries (rows, columns, width), and what the columns hold (rows, columns)."""

    states: Tensor
    image: Tensor
    question: Tensor
    """Text behind the image, up to the end of the prompt."""
    answer: Tensor

    @classmethod
    def of(cls, batch: Batch, states: Tensor) -> Self:
        parts = (part(batch).to(states.device) for part in (of_image, asking, of_answer))
        return cls(states, *parts)


@dataclass(frozen=True, slots=True, eq=False)
class Experts:
    """One for each edit."""

    image: Tensor
    """By what its image is known (experts, slots, middle)."""
    text: Tensor
    """By what its question is known (experts, slots, middle)."""
    into: Tensor
    """What states are multiplied with (experts, rank, width)."""
    out: Tensor
    """What is added for that (experts, rank, width)."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.image, self.text, self.into, self.out)

    def to(self, device: torch.device) -> Experts:
        """The same on a device."""
        return Experts(*(one.to(device) for one in self.tensors))

    def take(self, chosen: Tensor) -> Experts:
        """Some of them."""
        return Experts(*(one[chosen] for one in self.tensors))

    @classmethod
    def joined(cls, parts: Sequence[Experts]) -> Self:
        """Several lots in order, where the last of them lies."""
        parts = [one.to(parts[-1].image.device) for one in parts]
        return cls(*(torch.cat(lots) for lots in zip(*(one.tensors for one in parts), strict=True)))


class Extractor(nn.Module):
    """What images and questions are known by: slots that look at them."""

    def __init__(self, width: int, middle: int, slots: int, heads: int) -> None:
        super().__init__()
        self.norm_image = nn.LayerNorm(width)
        self.norm_text = nn.LayerNorm(width)
        self.image_slots, self.text_slots = (_slots(slots, middle) for _ in range(2))
        self.ask = Attention(middle, width, middle, middle, heads)
        self.look = Attention(middle, width, middle, middle, heads)
        self.read = Attention(middle, width, middle, middle, heads)

    def image(self, seen: Seen, instead: Tensor | None = None) -> Tensor:
        """Of the images in view of the questions, or of another one (1, positions, width) in their place."""
        slots = self.image_slots.expand(len(seen.states), -1, -1)
        asked = self.ask(slots, self.norm_image(seen.states), seen.question)
        states, real = seen.states, seen.image
        if instead is not None:
            states = instead.expand(len(asked), -1, -1)
            real = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        found: Tensor = self.look(asked, self.norm_image(states), real)
        return found

    def text(self, seen: Seen) -> Tensor:
        """Of the questions."""
        slots = self.text_slots.expand(len(seen.states), -1, -1)
        found: Tensor = self.read(slots, self.norm_text(seen.states), seen.question)
        return found


class Generator(nn.Module):
    """One side of an expert."""

    def __init__(self, width: int, middle: int, rank: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.slots = _slots(rank, middle)
        self.attend = Attention(middle, width, middle, width, heads)

    def forward(self, seen: Seen) -> Tensor:
        """(edits, rank, width)."""
        real = seen.image | seen.question | seen.answer
        found = self.attend(self.slots.expand(len(real), -1, -1), self.norm(seen.states), real)
        scaled: Tensor = found / (SCALE * self.slots.shape[1] ** 0.5)
        return scaled


class Writer(nn.Module):
    """Makes experts of edits."""

    def __init__(self, width: int, middle: int, slots: int, rank: int, heads: int) -> None:
        super().__init__()
        self.extract = Extractor(width, middle, slots, heads)
        self.into, self.out = (Generator(width, middle, rank, heads) for _ in range(2))

    def forward(self, seen: Seen) -> Experts:
        return Experts(self.extract.image(seen), self.extract.text(seen), self.into(seen), self.out(seen))


class Reader(nn.Module):
    """Says which experts a query needs, and what they add."""

    def __init__(self, width: int, middle: int, slots: int, heads: int, prototype: int) -> None:
        super().__init__()
        self.extract = Extractor(width, middle, slots, heads)
        self.prototype = _slots(prototype, width)
        self.norm = nn.LayerNorm(width)

    def near(self, seen: Seen, experts: Experts, margin: float = 0.0) -> Tensor:
        """Which experts' images are nearer to a query's than the prototype, by a margin (rows, experts)."""
        found: Tensor = (self.nearness(seen, experts) > margin) & seen.image.any(dim=1, keepdim=True)
        return found

    def nearness(self, seen: Seen, experts: Experts) -> Tensor:
        """How much more like the experts' images they are than like the prototype (rows, experts)."""
        image = self.extract.image(seen)
        found: Tensor = alike(image, experts.image) - self.to_prototype(seen, image)
        return found

    def to_prototype(self, seen: Seen, image: Tensor) -> Tensor:
        """How much the images are like that of no edit, in view of the same questions (rows, 1)."""
        other = self.extract.image(seen, self.prototype)
        found: Tensor = (image * other).sum(dim=2).mean(dim=1, keepdim=True) / image.shape[2] ** 0.5
        return found

    def forward(self, states: Tensor, experts: Experts, shares: Tensor) -> Tensor:
        """What experts add to states (rows, positions, width), by their shares (rows, experts)."""
        excited = (self.norm(states) @ experts.into.flatten(0, 1).mT).relu()
        rank = experts.into.shape[1]
        weighed: Tensor = excited * shares.repeat_interleave(rank, dim=1)[:, None]
        return weighed @ experts.out.flatten(0, 1)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], heads: int) -> Self:
        """The reader whose `state_dict` these are."""
        _, slots, middle = tensors["extract.image_slots"].shape
        _, prototype, width = tensors["prototype"].shape
        # Modules draw weights when they are made, though these are overwritten.
        with seeded(0), torch.device(tensors["prototype"].device):
            found = cls(width, middle, slots, heads, prototype)
        found.load_state_dict(dict(tensors))
        return found.requires_grad_(False)


def alike(some: Tensor, others: Tensor) -> Tensor:
    """How much each of some features (n, slots, middle) is like each of others (m, slots, middle): (n, m)."""
    _, slots, middle = some.shape
    found: Tensor = some.flatten(1) @ others.flatten(1).mT / (slots * middle**0.5)
    return found


def shares_of(likeness: Tensor, chosen: Tensor) -> Tensor:
    """Of the experts chosen (rows, experts), by how like each is, among the others and by itself."""
    among = likeness.masked_fill(~chosen, torch.finfo(likeness.dtype).min).softmax(dim=1)
    found: Tensor = among * likeness.sigmoid() * chosen
    return found


def _slots(number: int, width: int) -> nn.Parameter:
    """Learned vectors (1, number, width)."""
    return nn.Parameter(nn.init.kaiming_normal_(torch.empty(1, number, width)))
