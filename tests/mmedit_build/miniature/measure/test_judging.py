"""What counts as a drawing that shows its caption."""

from __future__ import annotations

import pytest

from mmedit_build.miniature.measure.diffusion import shows
from mmedit_build.miniature.world import Scene, Thing

SCENE = Scene((Thing(0, "cat", "red", True), Thing(2, "cat", "blue", False)), "snow")


@pytest.mark.parametrize(
    ("caption", "shown"),
    [
        ("a red cat and a blue cat", True),
        ("a blue cat above a red cat on the grass", True),
        ("a small red cat and a big blue cat", True),
        ("two cats", True),
        ("two red cats", False),
        ("a red cat", False),
        ("a red cat, a blue cat and a star", False),
        ("a red cat and a green cat", False),
        ("a red fish and a blue cat", False),
    ],
)
def test_things_and_colors_count(caption: str, shown: bool) -> None:
    assert shows(caption, SCENE) is shown
