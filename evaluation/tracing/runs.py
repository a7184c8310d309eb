"""The runs of causal tracing on one prompt: clean, corrupted, and restored in one place.

Meng et al., "Locating and Editing Factual Associations in GPT" (arXiv 2202.05262), section 2. The answer is
the token that the clean run finds likeliest after the prompt, and p(answer) its probability there. The
corrupted runs have noise on the embeddings of some positions: a subject's, or the image's. The indirect
effect of a place is p(answer | its clean state restored) - p(answer | corrupted), as a mean over the noise
samples.

A state is the output of a layer; of MLPs and attentions the outputs of a window of layers are restored
together. Rows of one batch differ in their noise and in what is restored, and run only the layers from there
on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from editors.patches.hooks import Hook, hooked
from evaluation.tracing.terms import SITES, Site
from mmedit_build.mllm import MLLM, Batch, Below, Query

Output = Literal["mlp", "attention"]
OUTPUTS: tuple[Output, ...] = ("mlp", "attention")
Place = tuple[Output, int]
"""The MLP or the attention of a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What tracing finds on one prompt.

    `of` holds the indirect effects (layers, positions of the prompt), `together` those of restoring all
    corrupted positions at once (layers).
    """

    token: int
    clean: float
    corrupted: float
    of: Mapping[Site, Tensor]
    together: Mapping[Site, Tensor]


def trace(runs: Runs, window: int) -> Effects:
    """The effects of every position and layer."""
    first, length, number = min(runs.corrupted), runs.length, runs.n_layers
    # Before the first noise all states are clean as they are.
    masks = runs.masks([*([position] for position in range(first, length)), runs.corrupted])
    found = {site: [_restored(runs, site, layer, window, masks) for layer in range(number)] for site in SITES}
    base = runs.p_corrupted.mean()
    effects = {site: torch.stack(rows).mean(dim=2) - base for site, rows in found.items()}
    nothing = torch.zeros(number, first)
    return Effects(
        token=runs.token,
        clean=float(runs.p_clean),
        corrupted=float(base),
        of={site: torch.cat([nothing, effect[:, :-1]], dim=1) for site, effect in effects.items()},
        together={site: effect[:, -1] for site, effect in effects.items()},
    )


def _restored(runs: Runs, site: Site, layer: int, window: int, masks: Tensor) -> Tensor:
    if site == "hidden":
        return runs.restore_states(layer, masks)
    layers = layers_around(layer, window, runs.n_layers)
    return runs.restore_outputs([(site, one) for one in layers], masks)


def layers_around(layer: int, window: int, number: int) -> range:
    """A window of layers with `layer` in its middle, cut off at both ends of the model."""
    start = layer - window // 2
    return range(max(0, start), min(number, start + window))


def draw_noise(samples: int, shape: tuple[int, int], deviation: float, seed: int) -> Tensor:
    """Normal noise (samples, positions, width); drawn on the CPU, so that it is the same on every device."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn((samples, *shape), generator=random) * deviation


class Runs:
    """The clean run and the corrupted ones, and what comes of restoring parts of the latter.

    Masks (cells, positions) say where clean states are put; probabilities are on the CPU.
    """

    def __init__(
        self, mllm: MLLM, query: Query, corrupted: Sequence[int], noise: Tensor, *, batch_size: int
    ) -> None:
        """`noise` (samples, corrupted positions, width); the target of the query is the answer."""
        self.corrupted = tuple(corrupted)
        self.n_layers = mllm.n_layers
        self._mllm, self._query, self._batch_size = mllm, query, batch_size
        known = mllm.below([query], 0)
        # One token of the target stays, as the model is asked what it gives for it; nothing sees it.
        self._row = known.rows[0].cut(1)
        self.length = self._row.prompt_length
        embedded = known.hidden[0][: self._row.length]
        rows = embedded.repeat(len(noise) + 1, 1, 1)
        rows[1:, list(corrupted)] += noise.to(rows)
        # What is added of the image further up is as noisy as the image below.
        levels = known.deep[0] if self._row.image == self.corrupted else ()
        self._deep = [known.deep[0], *(tuple(level + one.to(level) for level in levels) for one in noise)]
        self._look(rows)

    def masks(self, cells: Sequence[Sequence[int]]) -> Tensor:
        """The masks of cells, each given by its positions."""
        masks = torch.zeros(len(cells), self._row.length, dtype=torch.bool)
        for mask, positions in zip(masks, cells, strict=True):
            mask[list(positions)] = True
        return masks

    def restore_states(self, layer: int, masks: Tensor) -> Tensor:
        """p(answer) where the outputs of a layer are clean at the masked positions: (cells, samples)."""
        clean, corrupted = self._states[layer + 1][0], self._states[layer + 1][1:]

        def run(cells: Tensor, samples: Tensor) -> Tensor:
            mask = masks[cells].to(clean.device)[:, :, None]
            return self._ask(layer + 1, torch.where(mask, clean, corrupted[samples]), samples)

        return self._in_batches(masks, run)

    def restore_outputs(self, places: Sequence[Place], masks: Tensor) -> Tensor:
        """The same where the outputs of some MLPs and attentions are clean."""
        first = min(layer for _, layer in places)
        corrupted = self._states[first][1:]

        def run(cells: Tensor, samples: Tensor) -> Tensor:
            mask = masks[cells][:, :, None]
            cleans = {place: self._clean[place] for place in places}
            hooks = {
                self._names[place]: _restoring(clean, mask.to(clean.device))
                for place, clean in cleans.items()
            }
            with hooked(self._mllm, hooks):
                return self._ask(first, corrupted[samples], samples)

        return self._in_batches(masks, run)

    def _in_batches(self, masks: Tensor, run: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """All pairs of a cell and a noise sample."""
        samples = len(self.p_corrupted)
        pairs = torch.arange(len(masks) * samples).split(self._batch_size)
        return torch.cat([run(pair // samples, pair % samples) for pair in pairs]).view(-1, samples)

    def _look(self, rows: Tensor) -> None:
        """Run all rows once, and keep the states between layers and the clean outputs within them."""
        names = {module: name for name, module in self._mllm.model.named_modules()}
        layers = [names[self._mllm.layer(layer)] for layer in range(self.n_layers)]
        self._names: dict[Place, str] = {}
        for layer in range(self.n_layers):
            self._names["mlp", layer] = self._mllm.mlp(layer).down.name
            self._names["attention", layer] = self._mllm.attention(layer).name
        states: list[list[Tensor]] = [[] for _ in layers]
        outputs: dict[str, list[Tensor]] = {name: [] for name in self._names.values()}
        hooks = {name: _keeping(kept) for name, kept in outputs.items()}
        # What enters a layer is more than what left the one before, where the model adds to it in between.
        between = [None, *states]
        for number, name in enumerate(layers):
            leaving = states[-1] if number == self.n_layers - 1 else None
            hooks[name] = _passing(between[number], leaving)
        numbers = torch.arange(len(rows)).split(self._batch_size)
        with hooked(self._mllm, hooks):
            logits = torch.cat([self._logits(0, rows[part], part) for part in numbers])
        self._states = [rows, *(torch.cat(state) for state in states)]
        self._clean = {place: outputs[name][0][0] for place, name in self._names.items()}
        self.token = int(logits[0].argmax())
        self.p_clean, self.p_corrupted = logits[0, self.token], logits[1:, self.token]

    def _ask(self, layer: int, hidden: Tensor, samples: Tensor) -> Tensor:
        """p(answer) of corrupted rows (rows, positions, width), from the input of a layer on."""
        return self._logits(layer, hidden, samples + 1)[:, self.token]

    def _logits(self, layer: int, hidden: Tensor, numbers: Tensor) -> Tensor:
        number = len(hidden)
        deep = tuple(self._deep[i] for i in numbers.tolist())
        below = Below(layer, (self._query,) * number, (self._row,) * number, tuple(hidden), deep)
        scored = self._mllm.score(below, batch_size=number)
        return torch.cat([one.target_logits for one in scored]).softmax(dim=-1).cpu()


def _keeping(kept: list[Tensor]) -> Hook:
    """Keep what comes out of the first row, which is the clean one."""

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        kept.append(y[:1])
        return y

    return keep


def _passing(entering: list[Tensor] | None, leaving: list[Tensor] | None) -> Hook:
    """Keep what goes into a layer, and what comes out."""

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        if entering is not None:
            entering.append(x)
        if leaving is not None:
            leaving.append(y)
        return y

    return keep


def _restoring(clean: Tensor, mask: Tensor) -> Hook:
    """Put the clean output (positions, width) where the mask of a row is set."""

    def restore(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        return torch.where(mask[list(batch.indices)], clean, y)

    return restore
