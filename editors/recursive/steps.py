"""One edit by recursive low rank: a few steps into the groups of modules that its gradient asks for most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from editors.losses import target_nll
from editors.patches.weights import Factors, added_outputs
from editors.recursive.config import RecursiveConfig
from editors.recursive.looking import Inputs, image_mean, seen_inputs, target_mean, whole_mean
from editors.recursive.memory import SHUT, Gate, basis, gate, recalled
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.rows import Row

PROJECTOR = -1
"""The group of what stands before the language model; those of decoder layers have their numbers."""


@dataclass(slots=True, eq=False)
class Adapter:
    """What stands beside one weight. Its ranks are its own, and then those that text and image share."""

    group: int
    left: Tensor
    """alpha / rank times B."""
    right: Tensor
    """A, which never changes."""
    inverses: tuple[Tensor, ...]
    moved: bool = False

    @property
    def own(self) -> int:
        """How many ranks are its own."""
        return len(self.inverses[0])

    def key(self, mean: Tensor) -> Tensor:
        """What its own ranks make of a mean of inputs."""
        return self.right[: self.own] @ mean


class Steps:
    """The adapters of a model, as far as edits have moved them."""

    def __init__(self, mllm: MLLM, adapters: Mapping[str, Adapter], config: RecursiveConfig) -> None:
        self._mllm = mllm
        self._config = config
        self.adapters = adapters
        self._first = mllm.first_layer(adapters)

    def make(self, query: Query) -> set[int]:
        """Make an edit; the groups that moved."""
        mllm, (row,) = self._mllm, self._mllm.rows([query])
        asked: Sequence[Query] = [query] if self._first is None else mllm.below([query], self._first)
        moved: set[int] = set()
        with self._seeing():
            for _ in range(self._config.steps):
                gradients, inputs = self._looked(asked)
                moved |= self._stepped(gradients, inputs, row)
        return moved

    def keys_of(self, query: Query) -> dict[str, Tensor]:
        """The keys of a question at the modules that it passes, as means over all positions."""
        with self._seeing(), seen_inputs(self._mllm, list(self.adapters)) as inputs:
            self._mllm.score([query])
        return {name: self.adapters[name].key(whole_mean(of)) for name, of in inputs.items() if of}

    @contextmanager
    def _seeing(self) -> Iterator[None]:
        """Features are made anew where the projector is edited, and else not at all."""
        if self._first is not None:
            yield
            return
        with self._mllm.fresh_features(), self._mllm.remembering_vision(self.adapters):
            yield

    def recall(self, groups: set[int], keys: Mapping[str, Sequence[Tensor]]) -> None:
        """Leave alone, from now on, what these keys stand for."""
        for name, one in self._within(groups).items():
            for key in keys.get(name, ()):
                own = recalled(one.inverses[0], key.to(one.left.device), self._config.ridge)
                one.inverses = (own, *one.inverses[1:])

    def _looked(self, asked: Sequence[Query]) -> tuple[dict[str, Tensor], Inputs]:
        """The gradients of the left factors, of those that took part, and what went into the modules."""
        leaves = {name: one.left.detach().requires_grad_() for name, one in self.adapters.items()}
        pairs = {name: Factors(leaf, self.adapters[name].right) for name, leaf in leaves.items()}
        mllm = self._mllm
        with torch.enable_grad(), added_outputs(mllm, pairs), seen_inputs(mllm, list(leaves)) as inputs:
            target_nll(mllm.logits(asked)).sum().backward()
        return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}, inputs

    def _stepped(self, gradients: Mapping[str, Tensor], inputs: Inputs, row: Row) -> set[int]:
        config, scores = self._config, defaultdict[int, float](float)
        for name, gradient in gradients.items():
            one = self.adapters[name]
            scores[one.group] += float(gradient[:, : one.own].norm())
        chosen = sorted(scores, key=lambda group: -scores[group])[: config.groups]
        sharing = [group for group in chosen if group != PROJECTOR][: config.sharing_groups]
        for name, one in self._within(set(chosen)).items():
            if name in gradients:
                share = self._gate(one, inputs[name], row) if one.group in sharing else SHUT
                mean = whole_mean(inputs[name]) if one.group == PROJECTOR else target_mean(inputs[name], row)
                self._move(one, gradients[name], one.key(mean), share)
        return set(chosen)

    def _gate(self, one: Adapter, inputs: Sequence[Tensor], row: Row) -> Gate:
        image = image_mean(inputs, row)
        if len(one.inverses) < 2 or image is None:
            return SHUT
        shared = one.right[one.own :]
        text = shared @ target_mean(inputs, row)
        return gate(text, shared @ image, slope=self._config.slope, threshold=self._config.threshold)

    def _move(self, one: Adapter, gradient: Tensor, key: Tensor, share: Gate) -> None:
        """B moves by -eta (dL/dB) P, and then P recalls the key; what is shared by its share of that."""
        config = self._config
        eta = config.projector_eta if one.group == PROJECTOR else config.eta
        squared = (config.alpha / config.rank) ** 2
        inverse, *shared = one.inverses
        steps = [eta * gradient[:, : one.own] @ inverse]
        kept = [recalled(inverse, key, config.ridge)]
        for other in shared:
            steps.append(config.shared_eta * share.share * gradient[:, one.own :] @ other)
            kept.append(other if share.key is None else recalled(other, share.key, config.shared_ridge))
        one.left = one.left - squared * torch.cat(steps, dim=1)
        one.inverses, one.moved = tuple(kept), True

    def _within(self, groups: set[int]) -> dict[str, Adapter]:
        return {name: one for name, one in self.adapters.items() if one.group in groups}


def new(mllm: MLLM, name: str, config: RecursiveConfig, bases: dict[str, Tensor]) -> Adapter:
    """An adapter that adds nothing, on a basis that is drawn unless it is there."""
    weight = mllm.model.get_parameter(name)
    out, width = weight.shape
    rank = min(config.rank, width)
    if rank <= config.shared:
        raise UserError(
            f"{name} takes {width} inputs, which leave no rank besides {config.shared} shared ones."
        )
    ranks = [rank - config.shared, *([config.shared] if config.shared else [])]
    if name not in bases or bases[name].shape != (rank, width):
        bases[name] = basis(name, rank, width, config.seed)
    return Adapter(
        group_of(mllm, name),
        torch.zeros(out, rank, device=weight.device),
        bases[name].to(weight.device),
        tuple(torch.eye(one, device=weight.device) for one in ranks),
    )


def group_of(mllm: MLLM, name: str) -> int:
    """The decoder layer of a weight, or the projector."""
    layer = mllm.layer_of(name)
    return PROJECTOR if layer is None else layer
