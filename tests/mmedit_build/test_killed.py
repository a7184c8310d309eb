"""A build that is killed in each of its stages ends as one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.building import BUILD
from tests.kills.rounds import kill_evenly


@pytest.mark.timeout(300)
def test_a_killed_build_goes_on_to_the_same_dataset(tmp_path: Path) -> None:
    count = kill_evenly(BUILD, tmp_path, 1)
    assert count.kills >= 5, count.told()
    assert not count.damage.any, count.told()
