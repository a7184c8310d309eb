"""Published datasets: Parquet files whose columns, cells and pages are not what they should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evaluation.data.dataset import digest, load_cases
from mmedit_build.audit.run import run_audit
from tests.fuzz.conftest import Fuzz
from tests.fuzz.engine import Reader
from tests.fuzz.tables import damage_table, on_columns, on_table
from tests.mmedit_build.publishing.conftest import World

TABLES = ("vqa", "text_locality", "image_locality")
"""An audit looks into the first alone."""


def audit(folder: Path) -> None:
    run_audit(str(folder / "dataset"), folder / "numbers.json", folder / "page.html")


def judge(folder: Path) -> None:
    digest(load_cases(str(folder / "dataset")))


@pytest.mark.parametrize(("read", "tables"), [(audit, TABLES[:1]), (judge, TABLES)])
def test_published_datasets(
    read: Callable[[Path], None], tables: Sequence[str], tmp_path: Path, fuzz_one: Fuzz
) -> None:
    dataset = World(tmp_path / "work").build()
    seed = tmp_path / "seed"
    seed.mkdir()
    dataset.rename(seed / "dataset")
    files = [next((seed / "dataset" / "data" / name).glob("test-*.parquet")) for name in tables]
    names = [str(path.relative_to(seed)) for path in files]
    picked = [case for name in names for case in on_table(name, retype=True)]
    for name, path in zip(names, files, strict=True):
        picked += on_columns(name, pq.read_schema(path).names)
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_table(folder / rng.choice(names), rng)))
