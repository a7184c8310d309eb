"""Whole experiments, for tests in which no method may fail."""

from __future__ import annotations

from pathlib import Path

from evaluation.run import evaluate as whole
from evaluation.run.bars import Progress
from evaluation.run.experiment import Experiment
from mmedit_build.engine.base import Engine
from mmedit_build.engine.local import HERE


def evaluate(experiment: Experiment, progress: Progress, engine: Engine = HERE) -> list[Path]:
    """The folders of the results; raises what methods failed with."""
    settled = whole.evaluate(experiment, progress, engine)
    if settled.failed is not None:
        raise settled.failed
    return settled.done
