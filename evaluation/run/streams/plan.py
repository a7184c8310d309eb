"""What streams of an experiment make on one task, decided without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from evaluation.data.cases import Case
from evaluation.results.presets import PresetName
from evaluation.run.experiment import Experiment
from evaluation.run.streams.chains import Chain, own_chains, preset_cases, preset_chains
from evaluation.run.streams.dealing import Dealt, checkpoints, deal


@dataclass(frozen=True)
class Plan:
    """What the streams of all methods share."""

    experiment: Experiment
    wanted: Sequence[Case]

    @property
    def preset(self) -> PresetName | None:
        stream = self.experiment.stream
        return stream if isinstance(stream, str) else None

    @cached_property
    def dealt(self) -> Dealt:
        """Some edits are kept out of our own streams, none of those of publications."""
        if self.preset is None:
            return deal(self.wanted, self.experiment.seed)
        return Dealt(preset_cases(self.preset, self.wanted), ())

    @cached_property
    def chains(self) -> list[Chain]:
        experiment, cases = self.experiment, self.dealt.streamed
        if isinstance(experiment.stream, str):
            return preset_chains(experiment.stream, cases)
        numbers = checkpoints(experiment.stream, len(cases))
        return list(own_chains(cases, numbers, experiment.orders, experiment.seed))
