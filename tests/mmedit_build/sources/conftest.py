"""A few drawings with all their source files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.miniature.sources import Sources, write_sources
from mmedit_build.work import Work


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A work folder with drawn sources; tests write nothing else into it."""
    return Work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def drawn(work: Work) -> Sources:
    return write_sources(work.sources, train_images=2, val_images=6)


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasets are converted into a folder of the test, without bars."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
