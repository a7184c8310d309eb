"""The fixed set of probes, which belong to no edit of a stream: locality and general ability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from editors.base import Patch
from evaluation.data.cases import LOCALITY, USUAL, Case, Kind
from evaluation.data.pictures import key_of_image
from evaluation.data.probes import Asked, edit_of
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.output import Output
from evaluation.results.streams import Kept
from evaluation.run.judging import Judging, timed
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from mmedit_build.rows import Split

MOST = 200
"""Probes in the set at most."""


@dataclass(frozen=True, slots=True)
class FixedSet:
    """Probes with what the unedited model gave to them, and how long it takes for one of them."""

    judging: Judging
    probes: Sequence[Asked]
    before: Sequence[Output]
    seconds: float
    splits: Sequence[Split] = ()
    """Of each probe; by default, all are of the test split."""

    @classmethod
    def of(cls, judging: Judging, held: Sequence[Case], streamed: Sequence[Case]) -> FixedSet:
        """The locality of edits that are kept out, but for what an edit of the stream asks itself."""
        known = [one for one in _others(judging, held, streamed, LOCALITY) if judging.base.knows([one])]
        return cls._timed(judging, _evenly(known, MOST))

    @classmethod
    def of_splits(
        cls,
        judging: Judging,
        splits: Mapping[Split, Sequence[Case]],
        streamed: Sequence[Case],
        ask: Callable[[Sequence[Asked]], None],
    ) -> FixedSet:
        """As many questions about images of each split; `ask` puts them to the unedited model."""
        chosen = [
            (split, probe)
            for split, cases in splits.items()
            for probe in _evenly(_others(judging, cases, streamed, ("image_locality",)), MOST)
        ]
        ask([probe for _, probe in chosen])
        known = [(split, probe) for split, probe in chosen if judging.base.knows([probe])]
        return cls._timed(judging, [probe for _, probe in known], [split for split, _ in known])

    @classmethod
    def _timed(cls, judging: Judging, probes: Sequence[Asked], splits: Sequence[Split] = ()) -> FixedSet:
        if not probes:
            raise UserError("There is no locality to measure a stream by; give a dataset that has some.")
        fixed = cls(judging, probes, judging.base.of(probes), 0.0)
        # Once before, as images are encoded when they are first seen.
        _, seconds = [fixed.asked(None) for _ in range(2)][-1]
        return replace(fixed, seconds=seconds, splits=splits)

    def asked(self, patch: Patch | None) -> tuple[list[Output], float]:
        """What is answered under a patch, and the seconds for each; no work of the unedited model is used."""
        mllm = self.judging.mllm
        queries = [probe.query for probe in self.probes]
        with nullcontext(mllm) if patch is None else patch.applied(mllm) as model, timed(mllm) as clock:
            outputs = self.judging.measure(lambda _: nullcontext(model), self.probes, queries, self.before)
        return outputs, clock.seconds / len(self.probes)

    def kept(self, after: Sequence[Output]) -> tuple[Kept, ...]:
        """The results of answers."""
        splits = self.splits or ["test"] * len(self.probes)
        return tuple(map(self._kept, self.probes, self.before, after, splits))

    def _kept(self, probe: Asked, before: Output, after: Output, split: Split) -> Kept:
        image = key_of_image(probe.query.image)
        return Kept(
            image=image or probe.probe.id or probe.query.prompt,
            split=split,
            knew=self._known(probe, before),
            knows=self._known(probe, after),
            result=self.judging.scorer.result(probe, before, after),
        )

    def _known(self, probe: Asked, output: Output) -> dict[ProtocolName, bool]:
        return {one.name: one.knows(probe, output) for one in self.judging.scorer.protocols}


def _name(query: Query) -> str:
    return f"{key_of_image(query.image)} {query.prompt}"


def _others(
    judging: Judging, cases: Sequence[Case], streamed: Sequence[Case], kinds: tuple[Kind, ...]
) -> list[Asked]:
    """Each question of some cases once, but for what an edit of the stream asks itself."""
    own = {_name(edit_of(case, judging.mllm, judging.prompts).query) for case in streamed if case.question}
    found: dict[str, Asked] = {}
    for case in cases:
        for probe in judging.probes(case):
            if probe.kind in kinds and probe.probe.relation in USUAL:
                found.setdefault(_name(probe.query), probe)
    return [probe for name, probe in found.items() if name not in own]


def _evenly(probes: Sequence[Asked], most: int) -> list[Asked]:
    """At most so many of them, evenly spaced."""
    number = min(most, len(probes))
    return [probes[place * len(probes) // number] for place in range(number)]
