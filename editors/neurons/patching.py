"""How T-Patcher trains the neurons of edits, each by itself: its losses, and its loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from editors.learning.optimizing import in_one_operation
from editors.losses import smoothed_nll
from editors.neurons.patches import Neurons
from editors.neurons.remembered import Remembered
from editors.neurons.side_by_side import NeuronsSideBySide
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Below, Scored
from mmedit_build.mllm.below import joined
from mmedit_build.recipe.fields import Count, Share, Strict, Whole

PLATEAU = 0.05
"""By what share the loss on the edit has to fall, or the learning rate is halved."""
BETTER = 1e-3
"""By how much the loss on the validation memory has to fall, or training is done."""


class PatchingConfig(Strict):
    """Numbers for small models; those published are in the text of `editors.tpatcher`."""

    amplify: float = 10.0
    """What values start multiplied with; the factors are learned as well."""
    lr: PositiveFloat = 1e-2
    """Learning rate of Adam; halved when the loss on the edit no longer falls."""
    weight_decay: float = Field(default=0.01, ge=0)
    """As part of the gradient."""
    clip: PositiveFloat = 5.0
    """The longest gradient; longer ones are shortened."""
    steps: Count = 100
    """The most steps that one edit may take."""
    validate_every: Count = 10
    """Steps between two looks at whether the edit is made."""
    validate_from: Whole = 20
    """Steps before a look may end it."""
    smoothing: Share = 0.1
    """Of the labels."""
    activation_weight: float = Field(default=1.0, ge=0)
    """How much it counts that neurons fire at their mistakes."""
    memory_weight: float = Field(default=10.0, ge=0)
    """How much it counts that they are silent on the memory."""
    gamma: float = 3.0
    """By how much less than at its mistake a neuron shall be excited on the memory."""
    beta: float = -3.0
    """How much a neuron may be excited on the memory at most."""
    top_activation: Count = 5
    """How many of the worst activations count."""
    top_memory: Count = 1000
    """How many of the worst excitations on the memory count."""
    copies: Count = 8
    """How often an edit is in its batch: the worst are chosen among the entries of all copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """An edit, known up to the patched layer, and what goes into the MLP where its target is not said."""

    query: Below
    inputs: Tensor
    """One row for each wrong token (neurons, in)."""


def find_mistakes(
    mllm: MLLM, queries: Sequence[Below], inputs: Sequence[Tensor], limit: int
) -> list[Mistake]:
    """The first wrong tokens of each edit, after the right ones before them; inputs are (length, in)."""
    found = []
    for query, one, scored in zip(queries, inputs, mllm.score(joined(queries)), strict=True):
        wrong = (scored.target_logits.argmax(dim=-1) != scored.target_ids).nonzero()[:limit, 0]
        places = query.rows[0].prompt_length - 1 + wrong
        found.append(Mistake(query, one[places.to(one.device)]))
    return found


class Patching:
    """The neurons of one edit while they are learned."""

    def __init__(
        self, mllm: MLLM, layer: int, config: PatchingConfig, mistake: Mistake, remembered: Remembered
    ) -> None:
        self.query = mistake.query
        self._config = config
        self._mistake = mistake
        self._remembered = remembered
        # Learned in float32 whatever the model is kept in.
        inputs = mistake.inputs.to(torch.promote_types(mllm.dtype, torch.float32))
        out = mllm.mlp(layer).down.module.out_features
        # Drawn on the CPU, so that a seed means the same everywhere.
        values = torch.randn(len(inputs), out, dtype=inputs.dtype).to(inputs.device)
        # At its mistake, each neuron starts excited by 1.
        self._keys = nn.Parameter(inputs / inputs.square().sum(dim=1, keepdim=True))
        self._biases = nn.Parameter(inputs.new_zeros(len(inputs)))
        self._values = nn.Parameter(values)
        self._factors = nn.Parameter(torch.full_like(values, config.amplify))
        self._parameters = [self._keys, self._biases, self._values, self._factors]
        fused, decay = in_one_operation(self._parameters), config.weight_decay
        self._optimizer = torch.optim.Adam(self._parameters, lr=config.lr, weight_decay=decay, fused=fused)
        self._schedule = ReduceLROnPlateau(self._optimizer, factor=0.5, patience=1, threshold=PLATEAU)
        self._best = math.inf

    @property
    def neurons(self) -> Neurons:
        """As they are now; gradients flow into what is learned."""
        return Neurons(self._keys, self._values * self._factors, self._biases)

    def memory(self, remembered: Tensor) -> Tensor:
        """What is minimized besides the edit's own loss, with inputs (number, in) that shall not excite the
        neurons."""
        config, own = self._config, self._own()
        return config.activation_weight * activation_loss(own, config) + config.memory_weight * memory_loss(
            self.neurons.before_activation(remembered), own, config
        )

    def train_memory(self) -> Tensor:
        """That of the inputs to learn from."""
        return self.memory(self._remembered.train)

    def step(self) -> None:
        """Move by the gradients that are there."""
        nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def done(self, step: int, scored: Scored) -> bool:
        """A look at what is said after so many steps; tells the schedule, and whether to go no further."""
        made, loss = self._look(scored)
        if not made or step < self._config.validate_from:
            return False
        if loss >= self._best - BETTER:
            return True
        self._best = loss
        return False

    def _look(self, scored: Scored) -> tuple[bool, float]:
        """Whether the edit is made, and the loss on the validation memory."""
        with torch.no_grad():
            self._schedule.step(smoothed_nll([scored], self._config.smoothing).item())
            excited = self.neurons.before_activation(self._remembered.validation)
            made = bool((scored.target_logits.argmax(dim=-1) == scored.target_ids).all())
            return made, memory_loss(excited, self._own(), self._config).item()

    def _own(self) -> Tensor:
        """What excites each neuron at its own mistake (neurons,)."""
        return self.neurons.before_activation(self._mistake.inputs).diagonal()


def train(mllm: MLLM, layer: int, config: PatchingConfig, edits: Sequence[Patching]) -> list[Neurons]:
    """The neurons that make each edit and disturb the memory least, as far as the steps suffice.

    Edits are asked in the same passes, and none has a part in the loss of another.
    """
    # With no wrong token there is nothing to learn.
    moving = [one for one in edits if len(one.neurons)]
    for step in range(1, config.steps + 1):
        if not moving:
            break
        with torch.enable_grad():
            own = smoothed_nll(said(mllm, layer, moving), config.smoothing).sum()
            memory = torch.stack([one.train_memory() for one in moving]).sum()
            (own.to(memory.device) + memory).backward()
        for one in moving:
            one.step()
        if step % config.validate_every == 0:
            with torch.no_grad():
                scored = said(mllm, layer, moving)
            looks = [one.done(step, of) for one, of in zip(moving, scored, strict=True)]
            moving = [one for one, made in zip(moving, looks, strict=True) if not made]
    return [_detached(one.neurons) for one in edits]


def said(mllm: MLLM, layer: int, edits: Sequence[Patching]) -> list[Scored]:
    """What the model says to each edit with its neurons as they are; gradients flow into them."""
    beside = NeuronsSideBySide.of(layer, [one.neurons for one in edits])
    with hooked(mllm, beside.hooks(mllm, torch.arange(len(edits)))):
        return mllm.logits(joined([one.query for one in edits]))


def _detached(neurons: Neurons) -> Neurons:
    biases = None if neurons.biases is None else neurons.biases.detach()
    return Neurons(neurons.keys.detach(), neurons.values.detach(), biases)


# The losses, on values before the activation. An edit stands in its batch several times, so among the worst
# entries of all copies each of its own counts as often.


def activation_loss(own: Tensor, config: PatchingConfig) -> Tensor:
    """The mean of the largest exp(-p), where p is what excites a neuron at its own mistake."""
    return _worst(-own, config.top_activation, config.copies)


def memory_loss(remembered: Tensor, own: Tensor, config: PatchingConfig) -> Tensor:
    """exp(p_i - p + gamma) and exp(p_i - beta), each as the mean of the largest, over memories i.

    `remembered` (memories, neurons) holds p_i; `own` (neurons,) holds p, what excites each neuron at its own
    mistake.
    """
    nearer, louder = remembered - own + config.gamma, remembered - config.beta
    top, copies = config.top_memory, config.copies
    return _worst(nearer, top, copies) + _worst(louder, top, copies)


def _worst(values: Tensor, top: int, copies: int) -> Tensor:
    """The mean of the largest exponentials, of values that are all there so many times."""
    number = min(top, copies * values.numel())
    whole, rest = divmod(number, copies)
    largest = values.flatten().topk(whole + (rest > 0)).values.exp()
    counted = copies * largest[:whole].sum()
    return (counted + rest * largest[-1] if rest else counted) / number
