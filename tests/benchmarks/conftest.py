"""The cases that evaluations are tested on serve benchmarks too."""

from tests.evaluation.conftest import cases, dataset

__all__ = ["cases", "dataset"]
