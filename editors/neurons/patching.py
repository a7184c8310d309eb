"""How T-Patcher trains the neurons of one edit: its losses, and its loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from editors.losses import smoothed_nll
from editors.neurons.patches import AddedNeurons, Neurons
from editors.neurons.remembered import Remembered
from mmedit_build.mllm import MLLM, Below, Scored
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


def find_mistake(mllm: MLLM, query: Below, inputs: Tensor, limit: int) -> Mistake:
    """The first wrong tokens of an edit, after the right ones before them; inputs are (length, in)."""
    (scored,) = mllm.score(query)
    wrong = (scored.target_logits.argmax(dim=-1) != scored.target_ids).nonzero()[:limit, 0]
    places = query.rows[0].prompt_length - 1 + wrong
    return Mistake(query, inputs[places.to(inputs.device)])


class Patching:
    """The neurons of one edit while they are learned."""

    def __init__(
        self, mllm: MLLM, layer: int, config: PatchingConfig, mistake: Mistake, remembered: Remembered
    ) -> None:
        self._mllm = mllm
        self._layer = layer
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

    @property
    def neurons(self) -> Neurons:
        """As they are now; gradients flow into what is learned."""
        return Neurons(self._keys, self._values * self._factors, self._biases)

    def train(self) -> Neurons:
        """The neurons that make the edit and disturb the memory least, as far as the steps suffice."""
        config = self._config
        parameters = [self._keys, self._biases, self._values, self._factors]
        optimizer = torch.optim.Adam(parameters, lr=config.lr, weight_decay=config.weight_decay)
        schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=PLATEAU)
        best = math.inf
        for step in range(1, config.steps + 1 if len(self._keys) else 1):
            optimizer.zero_grad()
            with torch.enable_grad():
                self.loss(self._remembered.train).backward()
            nn.utils.clip_grad_norm_(parameters, config.clip)
            optimizer.step()
            if step % config.validate_every == 0:
                made, loss = self._look(schedule)
                if made and step >= config.validate_from:
                    if loss >= best - BETTER:
                        break
                    best = loss
        done = self.neurons
        return Neurons(done.keys.detach(), done.values.detach(), self._biases.detach())

    def loss(self, memory: Tensor) -> Tensor:
        """What is minimized, with inputs (number, in) that shall not excite the neurons."""
        config = self._config
        own = self._own()
        return (
            smoothed_nll([self._scored()], config.smoothing).to(own.device)
            + config.activation_weight * activation_loss(own, config.top_activation)
            + config.memory_weight * memory_loss(self.neurons.before_activation(memory), own, config)
        )

    def _look(self, schedule: ReduceLROnPlateau) -> tuple[bool, float]:
        """Whether the edit is made, and the loss on the validation memory; tells the schedule."""
        with torch.no_grad():
            scored = self._scored()
            schedule.step(smoothed_nll([scored], self._config.smoothing).item())
            excited = self.neurons.before_activation(self._remembered.validation)
            made = bool((scored.target_logits.argmax(dim=-1) == scored.target_ids).all())
            return made, memory_loss(excited, self._own(), self._config).item()

    def _scored(self) -> Scored:
        with AddedNeurons(self._layer, self.neurons).applied(self._mllm):
            return self._mllm.logits(self._mistake.query)[0]

    def _own(self) -> Tensor:
        """What excites each neuron at its own mistake, in all copies: (copies, neurons)."""
        excited = self.neurons.before_activation(self._mistake.inputs).diagonal()
        return excited.expand(self._config.copies, -1)


# The losses, on values before the activation


def activation_loss(own: Tensor, top: int) -> Tensor:
    """The mean of the largest exp(-p), where p is what excites a neuron at its own mistake."""
    return _worst(-own, top)


def memory_loss(remembered: Tensor, own: Tensor, config: PatchingConfig) -> Tensor:
    """exp(p_i - p + gamma) and exp(p_i - beta), each as the mean of the largest, over memories i.

    `remembered` (memories, neurons) holds p_i; `own` (copies, neurons) holds p, what excites the neurons at
    their own mistakes.
    """
    nearer = remembered[:, None] - own + config.gamma
    louder = (remembered[:, None] - config.beta).expand_as(nearer)
    return _worst(nearer, config.top_memory) + _worst(louder, config.top_memory)


def _worst(values: Tensor, top: int) -> Tensor:
    """The mean of the largest exponentials."""
    return values.flatten().topk(min(top, values.numel())).values.exp().mean()
