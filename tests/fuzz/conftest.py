"""How long fuzzing takes, and what it begins with."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmedit_build.console import quiet_loading
from mmedit_build.miniature.sources import Sources, write_sources
from tests.fuzz.engine import Reader, fuzz

LONGER = "MMEDIT_FUZZ_SECONDS"
SECONDS = float(os.environ.get(LONGER, "60"))
"""For all readers together, besides what is always tried."""
MOST = sys.maxsize if LONGER in os.environ else 60
"""Drawn inputs of a reader: a fixed number where no time is named, so that fast machines try no others."""
SEED = os.environ.get("MMEDIT_FUZZ_SEED", "0")
FOLDER = Path(__file__).parent
Fuzz = Callable[[Reader], None]


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    torch.set_num_threads(1)
    quiet_loading()
    for name in ("datasets", "transformers", "diffusers"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cut off only what never comes back; that libraries warn of damage is well."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS + 240, method="thread"))
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """The share of one reader."""
    together = sum("fuzz_one" in getattr(item, "fixturenames", ()) for item in request.session.items)
    return SECONDS / together


@pytest.fixture
def fuzz_one(tmp_path: Path, seconds: float) -> Fuzz:
    """Fails if a reader does with any damaged input what it must not do."""

    def run(reader: Reader) -> None:
        score = fuzz(reader, tmp_path, seed=SEED, seconds=seconds, most=MOST)
        if score.findings:
            pytest.fail(score.told(SEED), pytrace=False)
        # Neither a reader that takes everything nor one that takes nothing has been tested.
        assert score.accepted
        assert score.refused

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """A few drawings with all their source files."""
    return write_sources(tmp_path_factory.mktemp("drawn"), train_images=1, val_images=4)
