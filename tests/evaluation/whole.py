"""Whole experiments, for tests in which no method may fail."""

from __future__ import annotations

from pathlib import Path

from evaluation.run import evaluate as whole
from evaluation.run.bench import Progress
from evaluation.run.experiment import Experiment


def evaluate(experiment: Experiment, progress: Progress) -> list[Path]:
    """The folders of the results; raises what methods failed with."""
    settled = whole.evaluate(experiment, progress)
    if settled.failed is not None:
        raise settled.failed
    return settled.done
