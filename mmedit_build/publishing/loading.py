"""Loading a dataset the way its users will, to see that it can be done and gives every row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

from datasets import disable_progress_bars, load_dataset
from datasets.exceptions import DataFilesNotFoundError, DatasetBuildError, SplitsVerificationError

from mmedit_build.errors import UserError

RowCounts = Mapping[str, Mapping[str, int]]
"""Numbers of rows by configuration and split."""


def check_loading(
    place: str, rows: RowCounts, *, remedy: str, revision: str | None = None, token: str | bool | None = None
) -> None:
    """Load every configuration of a folder or repository; refuse it if that fails or rows are missing."""
    disable_progress_bars()
    for config, wanted in rows.items():
        found = _loaded(place, config, revision, token)
        if found != wanted:
            raise UserError(f"{place} cannot be loaded: {config} has {found} and not {wanted}; {remedy}.")


def _loaded(place: str, config: str, revision: str | None, token: str | bool | None) -> dict[str, int] | str:
    """Rows by split, or what went wrong."""
    # The copy that `datasets` makes is wanted for this look only.
    with tempfile.TemporaryDirectory() as cache:
        try:
            tables = load_dataset(place, config, revision=revision, token=token, cache_dir=cache)
        except (DatasetBuildError, DataFilesNotFoundError, SplitsVerificationError, ValueError) as error:
            return type(error).__name__
        # The first row is read, images and all: some faults show only then.
        return {split: len(table) for split, table in tables.items() if table[0]}
