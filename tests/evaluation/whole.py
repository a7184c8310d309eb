"""Whole experiments, for tests in which no method may fail."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

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


def rounded(value: Any) -> Any:
    """A result to compare with one of other batches: numbers as far as rounding leaves them alone."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: rounded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(map(rounded, value))
    return pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value
