"""From what a model gave before and after an edit to the scores of each protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.data.cases import Case
from evaluation.data.probes import Probe
from evaluation.protocols import metrics
from evaluation.protocols.metrics import Protocol
from evaluation.results.records import ProbeResult, Scores
from evaluation.run.outputs import Output, log_prob
from mmedit_build.errors import UserError
from mmedit_build.scoring.caption import Consensus


class Scorer:
    """Scores probes. Captions are weighed by how rare their words are among all cases it is given."""

    def __init__(self, cases: Sequence[Case], protocols: Sequence[Protocol]) -> None:
        self.protocols = tuple(protocols)
        captions = [(case.target, *case.answers) for case in cases if case.task == "caption"]
        self._consensus = Consensus.of(captions) if captions else None

    def result(self, case: Case, probe: Probe, before: Output, after: Output) -> ProbeResult:
        """What is written down of a probe."""
        scores = self._scores(case, probe, before, after)
        numbers = [log_prob(after), *(value for of in scores.values() for value in of.values())]
        if not np.isfinite(numbers).all():
            raise UserError("The edited model's outputs are not finite numbers; edit less strongly.")
        wild = "wild" in self.protocols
        return ProbeResult(
            kind=probe.kind,
            item=probe.item,
            relation=probe.relation,
            prompt=probe.query.prompt,
            target=probe.query.target,
            before=before.text if wild else None,
            after=after.text if wild else None,
            log_prob_before=log_prob(before),
            log_prob_after=log_prob(after),
            target_tokens=len(after.target),
            written_tokens=after.written if wild else 0,
            scores=scores,
        )

    def _scores(self, case: Case, probe: Probe, before: Output, after: Output) -> Scores:
        scores: Scores = {}
        if "legacy" in self.protocols:
            scores["legacy"] = _legacy_locality(before, after) if probe.is_locality else _legacy_edit(after)
        if "wild" in self.protocols:
            locality = probe.is_locality
            scores["wild"] = _wild_locality(probe, before, after) if locality else self._edit(case, after)
        return scores

    def _edit(self, case: Case, after: Output) -> dict[str, float]:
        assert after.text is not None
        scores = {"match": metrics.match(after.text, [case.target])}
        if case.task == "caption":
            assert self._consensus is not None
            scores["consensus"] = metrics.caption_consensus(after.text, case.target, self._consensus)
        elif case.answers:
            scores["vqa"] = metrics.soft_accuracy(after.text, case.target, case.answers)
        return scores


def _legacy_edit(after: Output) -> dict[str, float]:
    return {
        "exact_match": metrics.exact_match(after.predicted, after.target),
        "token_accuracy": metrics.token_accuracy(after.predicted, after.target),
    }


def _legacy_locality(before: Output, after: Output) -> dict[str, float]:
    assert before.top is not None
    assert after.top is not None
    return {
        "top1": metrics.top1_agreement(before.top, after.top),
        "top10": metrics.ranked_agreement(before.top, after.top),
    }


def _wild_locality(probe: Probe, before: Output, after: Output) -> dict[str, float]:
    assert before.spread is not None
    assert after.spread is not None
    assert before.text is not None
    assert after.text is not None
    return {
        "unchanged": metrics.unchanged(before.text, after.text),
        "right": metrics.match(after.text, probe.answers),
        "kl": metrics.kl_divergence(before.spread, after.spread),
    }
