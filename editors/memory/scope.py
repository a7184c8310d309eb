"""SERAC's scope classifier: how near a query lies to an edit, by its words and, if wanted, by its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, DistilBertConfig
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from editors.base import Json, State
from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import find_files
from mmedit_build.checkpoints.tokenizers import check_fits
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.mllm import MLLM, Query

BASE = "base"
"""The classifier that needs no further checkpoint: a small encoder on the base model's token embeddings."""
REMEDY = (
    f"give a folder or id of a text encoder with safetensors, or '{BASE}' for one made of the model's own "
    "embeddings"
)
WIDTH, LAYERS, HEADS = 256, 2, 4
"""Of that encoder. Wider token embeddings are reduced to their principal components."""
THRESHOLD = 0.5
"""Above it a query is in scope; at it, it is not."""
IMAGE_SCALE = 2.0
"""Squared distance between images that have nothing in common, before it is learned."""
CELLS = 2**24
"""Differences of numbers that are held at a time."""
NEAREST = 1e-6
"""The least squared distance that counts as one where queries shall be told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What the classifier looks at of a query."""

    text: str
    image: Tensor | None = None
    """What the base model sees of the image (positions, width), of length 1 in all; None also where images do
    not count."""


def places(mllm: MLLM, queries: Sequence[Query], texts: Sequence[str], *, images: bool) -> list[Place]:
    """The places of queries that are looked at with these texts."""
    if not images:
        return [Place(text) for text in texts]
    seen = iter(mllm.image_features([query for query in queries if query.image is not None]))
    return [
        Place(text, None if query.image is None else _direction(next(seen)))
        for query, text in zip(queries, texts, strict=True)
    ]


def alike(one: Place, other: Place) -> bool:
    """Whether the classifier cannot tell them apart."""
    if one.text != other.text or (one.image is None) is not (other.image is None):
        return False
    return one.image is None or other.image is None or torch.equal(one.image, other.image)


def similarity(distance: Tensor) -> Tensor:
    """s = exp(-d^2), from squared distances."""
    return torch.exp(-distance)


def in_scope(scores: Tensor) -> Tensor:
    """s > 0.5, that is d^2 < ln 2."""
    return scores > THRESHOLD


def scope_loss(near: Tensor, far: Tensor) -> Tensor:
    """Of squared distances: the mean of -log s over pairs in scope and of -log(1 - s) over the others."""
    loss = near.mean()
    if len(far):
        loss = loss - (-torch.expm1(-far.clamp(min=NEAREST))).log().mean()
    return loss


class Scope(nn.Module):
    """Squared distances of queries to edits: ||e(query) - e(edit)||^2, and with `images` that of the images.

    e is the first token's vector of the last layer, behind which stands the whole text.
    The latter is a learned scale times 1 - cos; an image on one side only counts as one that is unrelated.
    Images of as many positions are compared position by position. Of others, of which no position can be told
    to be that of the other, the means over the positions are.
    """

    log_image_scale: nn.Parameter | None

    def __init__(self, encoder: nn.Module, tokenizer: Tokenizer, *, images: bool) -> None:
        super().__init__()
        # Typed Any, as encoders of all sorts are called alike.
        self.encoder: Any = encoder
        self.images = images
        self.log_image_scale = nn.Parameter(torch.tensor(IMAGE_SCALE).log()) if images else None
        self._tokenizer = tokenizer
        self._known: dict[str, Tensor] = {}
        self.eval()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Always as in use: without dropout, so that runs repeat."""
        return super().train(False)

    @classmethod
    def load(cls, name: str, mllm: MLLM, *, images: bool) -> Self:
        """The classifier to start from: `base`, or a folder or id of an encoder checkpoint."""
        if name == BASE:
            return cls(_small_encoder(mllm), _plain(mllm.tokenizer), images=images).to(mllm.device)
        with told("a scope classifier", name, REMEDY):
            folder = locate(name)
            find_files(folder).check_model(MODEL_MAPPING_NAMES)
            words = AutoTokenizer.from_pretrained(folder)
            # Only the vectors of the tokens are read, so that a pooler is not run.
            encoder = load_whole(AutoModel, folder, unused=("pooler.",), dtype=torch.float32)
            check_fits(name, words, encoder)
        return cls(encoder, _plain(words), images=images).to(mllm.device)

    # Distances

    def distances(self, queries: Sequence[Place], edits: Sequence[Place]) -> Tensor:
        """(queries, edits); gradients flow while learning."""
        texts = list(dict.fromkeys(place.text for place in (*queries, *edits)))
        vectors = dict(zip(texts, self._encoded(texts), strict=True))
        return self._between(queries, edits, vectors)

    @torch.no_grad()
    def fixed_distances(self, queries: Sequence[Place], edits: Sequence[Place]) -> Tensor:
        """As `distances`, when nothing is learned any more; a text then always has the same vector."""
        for place in (*queries, *edits):
            if place.text not in self._known:
                # Each by itself, since padding may change the last bits.
                self._known[place.text] = self._encoded([place.text])[0]
        return self._between(queries, edits, self._known)

    def _between(
        self, queries: Sequence[Place], edits: Sequence[Place], vectors: dict[str, Tensor]
    ) -> Tensor:
        asked, told = (torch.stack([vectors[one.text] for one in side]) for side in (queries, edits))
        # A few queries at a time, as there are as many numbers of each as all edits have.
        rows = max(1, CELLS // told.numel())
        squared = torch.cat([(one[:, None] - told[None]).square().sum(dim=-1) for one in asked.split(rows)])
        if self.log_image_scale is None:
            return squared
        return squared + self.log_image_scale.exp() * images_apart(queries, edits).to(squared.device)

    def _encoded(self, texts: Sequence[str]) -> Tensor:
        limit = self.encoder.config.max_position_embeddings
        device = next(self.parameters()).device
        rows = [encoding.ids[:limit] or [0] for encoding in self._tokenizer.encode_batch(list(texts))]
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        hidden: Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden[:, 0]

    # Keeping

    def state(self) -> State:
        fields: dict[str, Json] = {
            "encoder": self.encoder.config.to_dict(),
            "tokenizer": self._tokenizer.to_str(),
            "images": self.images,
        }
        return State(dict(self.named_parameters()), fields)

    @classmethod
    def from_state(cls, state: State) -> Self:
        config = AutoConfig.for_model(**cast("dict[str, Any]", state.fields["encoder"]))
        tokenizer = Tokenizer.from_str(str(state.fields["tokenizer"]))
        scope = cls(AutoModel.from_config(config), tokenizer, images=bool(state.fields["images"]))
        for name, parameter in scope.named_parameters():
            parameter.data = state.tensors[name].clone()
        return scope


def _direction(features: Tensor) -> Tensor:
    return nn.functional.normalize(features.float().flatten(), dim=0).view_as(features)


def images_apart(queries: Sequence[Place], edits: Sequence[Place]) -> Tensor:
    """1 - cos of the images; 0 where neither side has one."""
    asked, told = (torch.tensor([one.image is not None for one in side]) for side in (queries, edits))
    apart = (asked[:, None] != told[None]).float()
    images = {i: edit.image for i, edit in enumerate(edits) if edit.image is not None}
    lots = [[i for i, image in images.items() if len(image) == length] for length in _lengths(images)]
    for lot in lots:
        whole = torch.stack([images[i].flatten() for i in lot])
        means = torch.stack([_mean_direction(images[i]) for i in lot])
        for row, query in enumerate(queries):
            if query.image is None:
                continue
            alike = len(query.image) == len(images[lot[0]])
            one, others = (query.image.flatten(), whole) if alike else (_mean_direction(query.image), means)
            # Not 1 - one @ other, which rounding can keep from being 0 for equal images.
            apart[row, lot] = ((others - one.to(others.device)).square().sum(dim=1) / 2).cpu()
    return apart


def _lengths(images: Mapping[int, Tensor]) -> list[int]:
    return list(dict.fromkeys(len(image) for image in images.values()))


def _mean_direction(image: Tensor) -> Tensor:
    return _direction(image.mean(dim=0))


def _plain(tokenizer: Any) -> Tokenizer:
    """What splits texts, without the padding that others may have asked it for."""
    copied: Tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied


def _small_encoder(mllm: MLLM) -> nn.Module:
    # On the CPU, as principal components are drawn, and other devices draw otherwise.
    words = _narrow(mllm.embed_tokens.weight.detach().float().cpu())
    config = DistilBertConfig(
        vocab_size=len(words),
        dim=words.shape[1],
        hidden_dim=4 * words.shape[1],
        n_layers=LAYERS,
        n_heads=HEADS,
        dropout=0.0,
        attention_dropout=0.0,
    )
    encoder = AutoModel.from_config(config)
    encoder.embeddings.word_embeddings.weight.data.copy_(words)
    return cast("nn.Module", encoder)


def _narrow(embeddings: Tensor) -> Tensor:
    """Token embeddings of the width of the classifier, or of their own if that is less."""
    if embeddings.shape[1] <= WIDTH:
        return embeddings
    centered = embeddings - embeddings.mean(dim=0)
    _, _, components = torch.pca_lowrank(centered, q=WIDTH, center=False)
    return centered @ components
