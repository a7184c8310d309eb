"""What a model writes until it stops by itself."""

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


class Wild(Protocol):
    """Free answers."""

    name = "wild"
    title = "Wild: free answers"
    metrics: ClassVar[dict[str, Metric]] = {
        "match": Metric("match", "The answer is the target, but for case, articles and punctuation."),
        "vqa": Metric("VQA score", "The share of annotators' credit, where the target has credit at all."),
        "consensus": Metric("consensus", "CIDEr-D against the target, as a share of what the target gets."),
        "unchanged": Metric("unchanged", "The answer is the one before the edit."),
        "right": Metric("right", "The answer is one of the right ones."),
        "kl": Metric("KL", "Divergence of the answer's tokens from before the edit, in nats.", percent=False),
    }
    writes = True
    spreads = True

    def changed(self, asked: Asked, after: Output, consensus: Consensus | None) -> dict[str, float]:
        assert after.text is not None
        return self.of_words(asked, "", after.text, consensus)

    def kept(self, asked: Asked, before: Output, after: Output) -> dict[str, float]:
        assert before.text is not None
        assert after.text is not None
        if before.spread is None or after.spread is None:
            # A served model tells its words alone.
            return self.of_words(asked, before.text, after.text, None)
        divergence = metrics.kl_divergence(before.spread, after.spread)
        return {**self.of_words(asked, before.text, after.text, None), "kl": divergence}

    def of_words(
        self, asked: Asked, before: str, after: str, consensus: Consensus | None
    ) -> dict[str, float]:
        """The scores that follow from the answers alone, and so from results that are written."""
        match = metrics.match(after, asked.probe.answers)
        if asked.is_locality:
            return {"unchanged": metrics.unchanged(before, after), "right": match}
        scores, target = {"match": match}, asked.probe.answers[0]
        if asked.task == "caption":
            assert consensus is not None
            scores["consensus"] = metrics.caption_consensus(after, target, consensus)
        elif asked.annotators:
            scores["vqa"] = metrics.soft_accuracy(after, target, asked.annotators)
        return scores

    def knows(self, asked: Asked, output: Output) -> bool:
        assert output.text is not None
        return metrics.match(output.text, asked.probe.answers) == 1

    def main(self, task: Task, kind: Kind) -> str:
        if kind in LOCALITY:
            return "unchanged"
        return "consensus" if task == "caption" and kind not in ("portability", "gain") else "match"
