"""MMEdit's protocol, and that of most papers: forced along the target, answers are counted token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from evaluation.data.cases import LOCALITY, Kind
from evaluation.protocols import metrics
from evaluation.protocols.base import Metric, Protocol
from evaluation.protocols.output import Output
from mmedit_build.rows import Task
from mmedit_build.scoring.caption import Consensus

if TYPE_CHECKING:
    from evaluation.data.probes import Asked


class Legacy(Protocol):
    """Teacher-forced."""

    name = "legacy"
    title = "Legacy: forced along the target"
    metrics: ClassVar[dict[str, Metric]] = {
        "exact_match": Metric("exact match", "Every target token is the likeliest one, given those before."),
        "token_accuracy": Metric("token accuracy", "The share of target tokens that are the likeliest."),
        "top1": Metric("top-1", "The share of positions whose likeliest token is the one before the edit."),
        "top10": Metric("top-10", "The same for each of the ten likeliest tokens, rank by rank."),
        "answer_top1": Metric("top-1 of the answer", "Top-1 at the positions of the answer alone."),
    }
    everywhere = True

    def changed(
        self,
        asked: Asked,  # noqa: ARG002
        after: Output,
        consensus: Consensus | None,  # noqa: ARG002
    ) -> dict[str, float]:
        return {
            "exact_match": metrics.exact_match(after.predicted, after.target),
            "token_accuracy": metrics.token_accuracy(after.predicted, after.target),
        }

    def kept(self, asked: Asked, before: Output, after: Output) -> dict[str, float]:  # noqa: ARG002
        assert before.top is not None
        assert after.top is not None
        return {
            "top1": metrics.top1_agreement(before.top, after.top),
            "top10": metrics.ranked_agreement(before.top, after.top),
            "answer_top1": metrics.token_accuracy(after.predicted, before.predicted),
        }

    def knows(self, asked: Asked, output: Output) -> bool:  # noqa: ARG002
        return metrics.exact_match(output.predicted, output.target) == 1

    def main(self, task: Task, kind: Kind) -> str:  # noqa: ARG002
        if kind in LOCALITY:
            return "top1" if kind == "text_locality" else "top10"
        return "token_accuracy" if kind in ("portability", "gain") else "exact_match"
