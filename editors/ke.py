"""KE, the KnowledgeEditor: a network reads an edit's text, and masks and shifts its gradient.

De Cao et al., "Editing Factual Knowledge in Language Models" (arXiv 2104.08164). For each weight the network
gives a mask of rank 1 for the gradient G, an offset of rank 1 and a gate:
    change = scale * sigmoid(gate) * (G * softmax(mask_out) mask_in^T + softmax(shift_out) shift_in^T)
It is trained so that edits are made while what the model says elsewhere stays within a margin.

G is a sum of outer products, one for each position, and so the masked gradient is the same sum of masked
vectors: the change keeps its low rank, and is handled by its factors.

Differences: as in VLKEB, listed weights only are edited, and the image enters by way of the gradient alone;
the prediction that is read is what the model at hand says; rephrases are learned along with the edit (see
`rephrases`); several edits are looked at side by side, each with a text of its own; the text may be longer
than 32 tokens, which a caption fills before the target comes; the first update of the warm-up has one share
of the learning rate, where it is 0 in the published code; the rates stay where they are after it unless they
are told to fall (`lr_falls`); penalty kl is taken of locality probes at all positions, in the published code
of other edits' answers; the margin shrinks at any validation in which enough targets come out, of all that
is learned; a change is made once, where the published code may repeat it up to five times; the best of the
checkpoints is kept; edits that are planned together are the sum of what each gets alone. The gradient is
taken of the plain loss, as published.

VLKEB's numbers for BLIP-2: layers -3 to -1, lr 3e-4, which falls after a warm-up of 1,000, batches of one
edit, 30,000 steps, a validation each 5,000 (its epoch), penalty l2, smoothing 0, and no loss on rephrases.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_sequence

from editors.learning.exercise import Data
from editors.learning.gradients import OuterProducts
from editors.learning.hypernetworks import (
    Hypernetwork,
    HypernetworkConfig,
    HypernetworkEditor,
    Inner,
    Shapes,
)
from editors.learning.lessons import Lesson
from editors.learning.practice import Practice
from editors.losses import smoothed_nll, target_nll
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import Count, Whole

LSTM_WIDTH = 128
CONDITION_WIDTH = 1024
HEAD_WIDTH = 128
MARGINS = {"kl": (1e-3, 1e-5), "l2": (1e-3, 1e-7)}
"""For each penalty the margin at the start and the lowest."""
SHRINK = 0.8
"""What the margin is multiplied by when enough edits are made."""
ENOUGH = 0.9
TINY = 1e-30
"""Keeps the gradient of a root finite where nothing changes."""


TRAINED_WORDS = 2**16
"""The largest vocabulary whose embeddings the reader has a copy of, to train. Of a larger one, which would be
a large part of all that is kept, it looks at the model's own as they are."""


class KEConfig(HypernetworkConfig):
    """Numbers for small models; those published are in the module's text."""

    lr: PositiveFloat = 3e-4
    """Learning rate of RMSprop."""
    warmup: Whole = 20
    """Updates in which the learning rates rise to their height."""
    scale: PositiveFloat = 1.0
    """The change of a gate that is fully open."""
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Of the labels, in the loss that trains the network."""
    penalty: Literal["kl", "l2"] = "kl"
    """What is held within the margin: how far answers elsewhere move, or the mean square of the change."""
    rephrases: bool = True
    """Whether rephrases are learned along with their edit."""
    multiplier_lr: PositiveFloat = 0.1
    """Learning rate of the penalty's Lagrange multiplier."""
    text_tokens: Count = 64
    """How much of the text is read."""


class Shared(nn.Module):
    """Embeddings that stay the model's own: neither trained nor copied nor saved."""

    weight: Tensor

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", words.detach(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight).float()


class Reader(nn.Module):
    """Reads texts: word embeddings, a recurrent net in both directions, and one layer."""

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        self.embed: nn.Embedding | Shared
        if len(words) > TRAINED_WORDS:
            self.embed = Shared(words)
        else:
            self.embed = nn.Embedding.from_pretrained(words.detach().float().cpu().clone(), freeze=False)
        self.lstm = nn.LSTM(words.shape[1], LSTM_WIDTH, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * LSTM_WIDTH, CONDITION_WIDTH)

    def forward(self, texts: Sequence[Sequence[int]]) -> Tensor:
        device = self.embed.weight.device
        words = [self.embed(torch.tensor(ids, dtype=torch.long, device=device)) for ids in texts]
        _, (last, _) = self.lstm(pack_sequence(words, enforce_sorted=False))
        read: Tensor = self.linear(torch.cat([last[0], last[1]], dim=1)).tanh()
        return read


class Head(nn.Module):
    """What is done to the gradient of one weight."""

    def __init__(self, out: int, into: int) -> None:
        super().__init__()
        self._sizes = (into, out, into, out, 1)
        self.hidden = weight_norm(nn.Linear(CONDITION_WIDTH, HEAD_WIDTH))
        self.last = weight_norm(nn.Linear(HEAD_WIDTH, sum(self._sizes)))

    def forward(self, read: Tensor, scale: float) -> tuple[Tensor, ...]:
        """For each text: mask_in, mask_out, shift_in, shift_out; scale and gate are part of what is `out`."""
        mask_in, mask_out, shift_in, shift_out, gate = self.last(self.hidden(read).tanh()).split(
            self._sizes, dim=1
        )
        strength = scale * gate.sigmoid()
        return mask_in, strength * mask_out.softmax(dim=1), shift_in, strength * shift_out.softmax(dim=1)


class KENetwork(Hypernetwork):
    """A reader, a head for each weight, and the terms of training."""

    margin: Tensor

    def __init__(self, words: Tensor, shapes: Shapes, scale: float, margin: float) -> None:
        super().__init__()
        self._names = list(shapes)
        self._scale = scale
        self.reader = Reader(words)
        self.heads = nn.ModuleList(Head(*shape) for shape in shapes.values())
        self.multiplier = nn.Parameter(torch.ones(()))
        self.register_buffer("margin", torch.tensor(margin))

    def forward(self, edits: Sequence[Inner]) -> list[LowRankPatch]:
        read = self.reader([edit.condition for edit in edits])
        factors: list[dict[str, Factors]] = [{} for _ in edits]
        for name, head in zip(self._names, self.heads, strict=True):
            for number, vectors in enumerate(zip(*head(read, self._scale), strict=True)):
                factors[number][name] = change(edits[number].gradient[name], *vectors)
        return [LowRankPatch(of) for of in factors]


def change(
    gradient: OuterProducts, mask_in: Tensor, mask_out: Tensor, shift_in: Tensor, shift_out: Tensor
) -> Factors:
    """G * (mask_out mask_in^T) + shift_out shift_in^T, for the gradient G = deltas^T inputs."""
    left = torch.cat([gradient.deltas * mask_out, shift_out[None]]).mT
    return Factors(left, torch.cat([gradient.inputs * mask_in, shift_in[None]]))


class KE(HypernetworkEditor):
    """KnowledgeEditor."""

    Config: ClassVar[type[HypernetworkConfig]] = KEConfig
    config: KEConfig

    def make_network(self, mllm: MLLM, shapes: Shapes) -> KENetwork:
        margin, _ = MARGINS[self.config.penalty]
        return KENetwork(mllm.embed_tokens.weight, shapes, self.config.scale, margin)

    def make_learning(self, mllm: MLLM, network: Hypernetwork, data: Data) -> Practice:
        assert isinstance(network, KENetwork)
        return KEPractice(mllm, self, network, data)

    def told(self, mllm: MLLM, queries: Sequence[Query]) -> list[Inner]:
        """The gradients with the text that says what is edited."""
        limit = self.config.text_tokens
        # Listed, since what is known of them below a layer does not suffice to go on from.
        said = mllm.generate(list(queries), max_new_tokens=limit // 2)
        texts = [
            f"{answer} >> {query.target.strip()} || {query.prompt}"
            for answer, query in zip(said, queries, strict=True)
        ]
        ids = mllm.tokenizer(texts, add_special_tokens=False)["input_ids"]
        told = super().told(mllm, queries)
        return [Inner(one.gradient, tuple(text[:limit])) for one, text in zip(told, ids, strict=True)]


class KEPractice(Practice):
    """Likely targets under a penalty with a Lagrange multiplier."""

    def __init__(self, mllm: MLLM, editor: KE, network: KENetwork, data: Data) -> None:
        super().__init__(mllm, editor, network, data)
        self._ke = network
        self._config = editor.config
        self._made: list[bool] = []
        parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in network.named_parameters():
            parts[name == "multiplier"].append(parameter)
        # The multiplier climbs where the rest descend.
        rising: dict[str, Any] = {"params": parts[True], "lr": self._config.multiplier_lr, "maximize": True}
        self.optimizer = torch.optim.RMSprop(
            [{"params": parts[False]}, rising], lr=self._config.lr, centered=True
        )

    def stepped(self) -> None:
        with torch.no_grad():
            self._ke.multiplier.clamp_(min=0)

    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        patches = self.patches(lessons)
        asked, owners = self._asked(lessons)
        if self._config.penalty == "kl":
            scored, penalty = self.with_locality(patches, asked, owners, lessons, rng)
        else:
            scored = self.scored(patches, asked, owners, ["target"] * len(asked))
            penalty = torch.stack([size(patch) for patch in patches]).mean()
        made = smoothed_nll(scored, self._config.smoothing).mean()
        return made + self._ke.multiplier * (penalty - self._ke.margin)

    def judge(self, lessons: Sequence[Lesson]) -> float:
        """How unlikely the targets are, plus how far answers elsewhere move."""
        patches = self.patches(lessons)
        scored, moved = self.with_locality(patches, *self._asked(lessons), lessons, None)
        self._made += [bool((one.argmax == one.target_ids).all()) for one in scored]
        return (target_nll(scored).mean() + moved).item()

    def validate(self) -> float:
        self._made.clear()
        score = super().validate()
        if sum(self._made) > ENOUGH * len(self._made):
            self._ke.margin.mul_(SHRINK).clamp_(min=MARGINS[self._config.penalty][1])
        return score

    def _asked(self, lessons: Sequence[Lesson]) -> tuple[list[int], list[int]]:
        """Each edit and the rephrases that are learned, and whose they are."""
        asked = [
            (one.inner, one.text_rephrase, one.image_rephrase) if self._config.rephrases else (one.inner,)
            for one in lessons
        ]
        owners = [owner for owner, numbers in enumerate(asked) for _ in numbers]
        return [number for numbers in asked for number in numbers], owners


def size(patch: LowRankPatch) -> Tensor:
    """The root of the mean square change of a weight, as the mean over weights."""
    return torch.stack([_root_mean_square(pair) for pair in patch.factors.values()]).mean()


def _root_mean_square(pair: Factors) -> Tensor:
    # |LR|^2 = sum of (L^T L) * (R R^T): the product itself, as large as the weight, is never made.
    square = ((pair.left.mT @ pair.left) * (pair.right @ pair.right.mT)).sum()
    return (square.clamp(min=TINY) / (pair.left.shape[0] * pair.right.shape[1])).sqrt()
