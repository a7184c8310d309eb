"""What papers on language models report besides: how fluently an edited model goes on, and what it prefers.

Fluency is the perplexity, under the unedited model, of what the edited model writes about the subject. The
scores of CounterFact (Meng et al., arXiv 2202.05262) ask less than a right answer: whether the target is
likelier than the true answer, by the mean log-probability of their tokens, for the prompt (ES), for its
rephrases (PS), and the other way round for neighbors (NS). The runner has one side of each such pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from editors.base import Model, Patch
from evaluation.data.cases import Case, Kind, Probe
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.mllm import MLLM, Query, Scored

ABOUT = "Here is a short text about {}."
"""What the model goes on from."""
NEW_TOKENS = 20
Preference = Literal["ES", "PS", "NS"]
PREFERENCES: Mapping[Kind, Preference] = {
    "reliability": "ES",
    "text_generality": "PS",
    "text_locality": "NS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is measured of one edit."""

    id: str
    text: str
    """What the edited model wrote."""
    perplexity: float | None
    """None where it wrote nothing."""
    others: tuple[float, ...]
    """The mean log-probability of the answer that should be less likely, for each prompt that has one."""


def perplexity(log_probs: Sequence[float]) -> float:
    """The inverse geometric mean of the probabilities of tokens."""
    return math.exp(-sum(log_probs) / len(log_probs))


def measure(mllm: MLLM, patch: Patch | None, case: Case) -> Beside:
    """Of the model under a patch; of the unedited one without."""
    about = Query(None, ABOUT.format(case.subject))
    if patch is None:
        text, scored = _answered(mllm, about, others(case))
    else:
        with patch.applied(mllm) as model:
            text, scored = _answered(model, about, others(case))
    own = mllm.score([Query(None, about.prompt, text)])[0].token_log_probs.tolist() if text else []
    return Beside(
        id=case.id,
        text=text,
        perplexity=perplexity(own) if own else None,
        others=tuple(float(one.token_log_probs.mean()) for one in scored),
    )


def others(case: Case) -> list[Query]:
    """Each prompt with the answer that should be less likely, in the order of the probes."""
    own = Query(None, case.question, case.prediction)
    compared = [one for one in case.probes if _compared(one)]
    return [
        own,
        *(
            Query(None, one.question, case.target if one.kind == "text_locality" else case.prediction)
            for one in compared
        ),
    ]


def preferences(result: CaseResult, beside: Beside) -> dict[Preference, float]:
    """ES, PS and NS of one edit."""
    found: dict[Preference, list[float]] = {}
    probes = [one for one in result.probes if _compared(one)]
    for probe, other in zip(probes, beside.others, strict=True):
        assert probe.log_prob_after is not None
        likely = probe.log_prob_after / probe.target_tokens
        found.setdefault(PREFERENCES[probe.kind], []).append(float(likely > other))
    return {name: sum(scores) / len(scores) for name, scores in found.items()}


def _compared(probe: Probe | ProbeResult) -> bool:
    """Whether it is about the relation of the edit."""
    return probe.kind != "text_locality" or probe.relation == "same_question"


def _answered(model: Model, about: Query, asked: Sequence[Query]) -> tuple[str, list[Scored]]:
    return model.generate([about], max_new_tokens=NEW_TOKENS)[0], model.score(asked)
