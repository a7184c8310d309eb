"""How much of an answer each neuron is due to: integrated gradients.

Formulas of Dai et al., "Knowledge Neurons in Pretrained Transformers" (arXiv 2104.08696). Activations are
taken at the input of the linear module that leads out of an MLP, so always after the activation function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from editors.patches.hooks import Hook, hooked
from editors.portions import portions
from mmedit_build.mllm import MLLM, Batch, Query

CHUNK = 64
"""Rows that run through the layers at a time, if there is room for so many."""

Rule = Literal["right", "inclusive"]
"""Where the gradient is looked at: j/m for j = 1 to m, or m points from 0 to 1 with both ends."""
Place = tuple[int, int]
"""A token (query, number)."""


def path(steps: int, rule: Rule) -> Tensor:
    """The shares of the activations at which gradients are looked at."""
    return torch.arange(1, steps + 1) / steps if rule == "right" else torch.linspace(0, 1, steps)


def attributions(mllm: MLLM, queries: Sequence[Query], shares: Tensor, tokens: int) -> Tensor:
    """How much each neuron adds to the probability of the targets: (queries, layers, neurons).

    The activations w of a whole layer are scaled together, at the position that predicts a token: the score
    of neuron i is w_i times the mean over the shares a of dP(token)/dw_i at a w. A target of several tokens
    gets the mean of the scores of its first `tokens` ones, each after those before it.
    """
    found = (_Layer(mllm, queries, layer, tokens).scores(shares) for layer in range(mllm.n_layers))
    layers = [scores.to(mllm.device) for scores in found]
    return torch.stack(layers, dim=1)


class _Layer:
    """The neurons of one layer, at each (query, token) that is to be explained."""

    def __init__(self, mllm: MLLM, queries: Sequence[Query], layer: int, tokens: int) -> None:
        self._mllm = mllm
        self._down = mllm.mlp(layer).down
        self._below = mllm.below(queries, layer)
        self._counts = [min(tokens, len(row.target_ids)) for row in self._below.rows]
        self._places = [(index, token) for index, count in enumerate(self._counts) for token in range(count)]
        self._activations = self._look()

    def scores(self, shares: Tensor) -> Tensor:
        """Integrated gradients, as the mean over the tokens of each query: (queries, neurons)."""
        gradients = torch.zeros_like(self._activations)
        rows = [(place, share) for place in range(len(self._places)) for share in shares.tolist()]
        lengths = [self._below.rows[self._places[place][0]].length for place, _ in rows]
        for chosen in portions(self._mllm, lengths, self._below.layer, CHUNK):
            of, at = zip(*rows[chosen.start : chosen.stop], strict=True)
            places = torch.tensor(of, device=gradients.device)
            gradients.index_add_(0, places, self._gradients(places, gradients.new_tensor(at)))
        scores = self._activations * gradients / len(shares)
        found = scores.new_zeros(len(self._counts), scores.shape[1])
        for (index, _), score in zip(self._places, scores, strict=True):
            found[index] += score / self._counts[index]
        return found

    def _look(self) -> Tensor:
        """The activations as they are: (places, neurons)."""
        kept: list[Tensor] = []

        def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            kept.append(x[_cells(batch, self._places, x.device)])
            return y

        with torch.no_grad(), hooked(self._mllm, {self._down.name: keep}):
            self._mllm.logits(self._below)
        return kept[0].to(torch.promote_types(kept[0].dtype, torch.float32))

    def _gradients(self, places: Tensor, shares: Tensor) -> Tensor:
        """Of the probability of a token at each of the places, with the activations there scaled."""
        scaled = (self._activations[places] * shares[:, None]).requires_grad_(True)
        chosen = [self._places[place] for place in places.tolist()]
        tokens = [token for _, token in chosen]
        asked = self._below.take([index for index, _ in chosen])
        hooks = {self._down.name: self._replacing(scaled, tokens)}
        with torch.enable_grad(), hooked(self._mllm, hooks):
            logits = [
                one.target_logits[token] for one, token in zip(self._mllm.logits(asked), tokens, strict=True)
            ]
        # As the parts of a batch do not see each other, one pass back gives every row its own gradient.
        said = [self._below.rows[i].target_ids[t] for i, t in chosen]
        answers = torch.tensor(said, device=logits[0].device)
        with torch.enable_grad():
            probabilities = torch.stack(logits).softmax(dim=-1).gather(1, answers[:, None])
        (gradients,) = torch.autograd.grad(probabilities.sum(), scaled)
        return gradients

    def _replacing(self, scaled: Tensor, tokens: Sequence[int]) -> Hook:
        """Let row i of a batch have these activations where its token i is predicted."""
        module = self._down.module

        def replace(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what was is replaced
            out = F.linear(scaled.to(y.dtype), module.weight, module.bias)
            return y.index_put(_cells(batch, list(enumerate(tokens)), y.device), out)

        return replace


def _cells(batch: Batch, places: Sequence[Place], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where in a batch the tokens of queries are predicted, given as (row, token)."""
    width = batch.valid.shape[1]
    columns = [width - batch.rows[i].length + batch.rows[i].prompt_length - 1 + t for i, t in places]
    return torch.tensor([i for i, _ in places], device=device), torch.tensor(columns, device=device)
