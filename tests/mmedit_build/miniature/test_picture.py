"""The picture of rows in the README is what the present code builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from PIL import ImageDraw
from typer.testing import CliRunner

from mmedit_build.miniature import __main__ as command

SHOWN = Path(__file__).parents[3] / "docs" / "rows.png"
BLOCK = 8
"""Side of the squares that are compared, in pixels: smaller than a word."""
MOST = 8.0
"""Levels (of 255) by which the mean of a square may differ: far more than the last bits of numbers make."""


def levels(image: PIL.Image.Image) -> NDArray[np.float64]:
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def difference(one: PIL.Image.Image, other: PIL.Image.Image) -> float:
    """The greatest difference of any square; infinite for other sizes."""
    if one.size != other.size:
        return float("inf")
    distance = np.abs(levels(one) - levels(other)).mean(axis=2)
    height, width = (side // BLOCK for side in distance.shape)
    blocks = distance[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    return float(blocks.mean(axis=(1, 3)).max())


@pytest.mark.timeout(300)
def test_the_picture_shows_what_is_built_now(tmp_path: Path) -> None:
    fresh = tmp_path / "rows.png"
    result = CliRunner().invoke(command.app, ["picture", "--out", str(fresh)])
    assert result.exit_code == 0, result.output
    with PIL.Image.open(SHOWN) as shown, PIL.Image.open(fresh) as built:
        assert difference(shown, built) <= MOST, "docs/rows.png is stale: draw it anew with `make rows`"


def test_another_letter_or_color_is_seen() -> None:
    with PIL.Image.open(SHOWN) as shown:
        written, painted = shown.convert("RGB"), shown.convert("RGB")
        ImageDraw.Draw(written).text((70, 190), "a", fill="black")
        ImageDraw.Draw(painted).rectangle((60, 60, 70, 70), fill="yellow")
        assert difference(shown, shown) == 0
        assert difference(shown, written) > MOST
        assert difference(shown, painted) > MOST
        assert difference(shown, shown.crop((0, 0, 400, 400))) > MOST
