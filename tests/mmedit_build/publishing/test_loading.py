from __future__ import annotations

from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.publishing.loading import check_loading

ROWS = {"vqa": {"train": 3, "test": 2}, "text_locality": {"train": 1, "test": 1}}


def test_a_dataset_that_loads_passes(world: Any) -> None:
    check_loading(str(world.build()), ROWS, remedy="mend it")


def test_missing_rows_are_told(world: Any) -> None:
    with pytest.raises(UserError, match=r"vqa has .*'test': 2} and not .*'test': 3}; mend it"):
        check_loading(str(world.build()), ROWS | {"vqa": {"train": 3, "test": 3}}, remedy="mend it")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("data/vqa/test-", "data/vqa/train-", "NonMatchingSplitsSizesError"),
        ("data/vqa/test-", "data/vqa/nothing-", "ValueError"),
    ],
)
def test_a_card_that_leads_to_other_files_is_told(world: Any, old: str, new: str, fault: str) -> None:
    folder = world.build()
    card = folder / "README.md"
    card.write_bytes(card.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(UserError, match=f"cannot be loaded: vqa has {fault}"):
        check_loading(str(folder), ROWS, remedy="mend it")
