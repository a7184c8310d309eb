"""From what a model gave before and after an edit to the scores of each protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import chosen
from evaluation.protocols.output import Output, log_prob
from evaluation.results.records import ProbeResult, Scores
from mmedit_build.errors import UserError
from mmedit_build.rows import Nearness
from mmedit_build.scoring.caption import Consensus


def consensus_of(cases: Sequence[Case]) -> Consensus | None:
    """How rare words are among the captions of some cases; None where there are none."""
    captions = [(case.target, *case.answers) for case in cases if case.task == "caption"]
    return Consensus.of(captions) if captions else None


class Scorer:
    """Scores probes. Captions are weighed by how rare their words are among all cases it is given."""

    def __init__(self, cases: Sequence[Case], protocols: Sequence[ProtocolName]) -> None:
        self.protocols = chosen(protocols)
        self._consensus = consensus_of(cases)

    @property
    def writes(self) -> bool:
        """Whether the model answers freely too."""
        return any(protocol.writes for protocol in self.protocols)

    def result(
        self, asked: Asked, before: Output, after: Output, *, known: bool | None = None
    ) -> ProbeResult:
        """What is written down of a probe; `known` says whether what it builds on was known before."""
        scores: Scores = {
            protocol.name: protocol.score(asked, before, after, self._consensus)
            for protocol in self.protocols
        }
        numbers = [log_prob(after), *(value for of in scores.values() for value in of.values())]
        if not np.isfinite([number for number in numbers if number is not None]).all():
            raise UserError("The edited model's outputs are not finite numbers; edit less strongly.")
        near = asked.probe.nearness or Nearness(None, None)
        return ProbeResult(
            kind=asked.kind,
            item=asked.probe.id,
            relation=asked.probe.relation,
            text_cosine=near.text,
            image_cosine=near.image,
            known=known,
            prompt=asked.query.prompt,
            question=asked.probe.question,
            target=asked.query.target,
            before=before.text if self.writes else None,
            after=after.text if self.writes else None,
            log_prob_before=log_prob(before),
            log_prob_after=log_prob(after),
            target_tokens=len(after.target),
            written_tokens=after.written if self.writes else 0,
            scores=scores,
        )

    def knows(self, asked: Asked, output: Output) -> bool:
        """Whether the model answers right, by what it writes if it does."""
        judge = max(self.protocols, key=lambda protocol: protocol.writes)
        return judge.knows(asked, output)
