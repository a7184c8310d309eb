"""What papers on language models report besides: how fluently an edited model goes on, and what it prefers.

Fluency is the perplexity, under the unedited model, of what the edited model writes about the subject. The
scores of CounterFact (Meng et al., arXiv 2202.05262) ask less than a right answer: whether the target is
likelier than the true answer, by the mean log-probability of their tokens, for the prompt (ES), for its
rephrases (PS), and the other way round for neighbors (NS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from editors.base import Model, Patch
from evaluation.data.cases import Case
from mmedit_build.mllm import MLLM, Query, Scored

ABOUT = "Here is a short text about {}."
"""What the model goes on from."""
NEW_TOKENS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is measured of one edit."""

    id: str
    text: str
    """What the edited model wrote."""
    perplexity: float | None
    """None where it wrote nothing."""
    es: float
    ps: float | None
    ns: float | None


def perplexity(log_probs: Sequence[float]) -> float:
    """The inverse geometric mean of the probabilities of tokens."""
    return math.exp(-sum(log_probs) / len(log_probs))


def measure(mllm: MLLM, patch: Patch | None, case: Case) -> Beside:
    """Of the model under a patch; of the unedited one without."""
    about = Query(None, ABOUT.format(case.subject))
    pairs = _pairs(case)
    asked = [query for one in pairs for query in one.queries]
    if patch is None:
        text, scored = _answered(mllm, about, asked)
    else:
        with patch.applied(mllm) as model:
            text, scored = _answered(model, about, asked)
    likely = [float(one.token_log_probs.mean()) for one in scored]
    won = [float(target > other) for target, other in zip(likely[::2], likely[1::2], strict=True)]
    kinds: Mapping[str, list[float]] = {
        kind: [score for score, one in zip(won, pairs, strict=True) if one.kind == kind]
        for kind in ("es", "ps", "ns")
    }
    own = mllm.score([Query(None, about.prompt, text)])[0].token_log_probs.tolist() if text else []
    return Beside(
        id=case.id,
        text=text,
        perplexity=perplexity(own) if own else None,
        es=kinds["es"][0],
        ps=_mean(kinds["ps"]),
        ns=_mean(kinds["ns"]),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """A prompt with the answer that should be likelier, and the one that should not."""

    kind: str
    prompt: str
    likelier: str
    other: str

    @property
    def queries(self) -> tuple[Query, Query]:
        return Query(None, self.prompt, self.likelier), Query(None, self.prompt, self.other)


def _pairs(case: Case) -> list[_Pair]:
    rephrased = [one.question for one in case.of("text_generality")]
    neighbors = [one for one in case.of("text_locality") if one.relation == "same_question"]
    return [
        _Pair("es", case.question, case.target, case.prediction),
        *(_Pair("ps", question, case.target, case.prediction) for question in rephrased),
        *(_Pair("ns", one.question, one.answers[0], case.target) for one in neighbors),
    ]


def _answered(model: Model, about: Query, asked: Sequence[Query]) -> tuple[str, list[Scored]]:
    return model.generate([about], max_new_tokens=NEW_TOKENS)[0], model.score(asked)


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
