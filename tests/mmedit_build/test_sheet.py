"""Contact sheets have the promised size, clip nothing and draw their marks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mmedit_build.errors import UserError
from mmedit_build.sheet import (
    CARD_WIDTH,
    COLUMNS,
    GAP,
    PADDING,
    PICTURE,
    Entry,
    Line,
    Mark,
    contact_sheet,
)

GRAY = (100, 100, 100)
NEARLY_WHITE = 250
COLORFUL = 50
MARK_PIXELS = 60
LONG = "Is the small purple banana in the top left corner to the left of the big orange boat? " * 4


def _entry(*lines: Line, size: tuple[int, int] = (64, 64)) -> Entry:
    return Entry(Image.new("RGB", size, GRAY), lines)


def _text_area(sheet: Image.Image) -> NDArray[np.uint8]:
    """What is under the picture of the first card, with the card's padding but without its frame."""
    top = GAP + PADDING + PICTURE
    return np.asarray(sheet.crop((GAP + 4, top, GAP + CARD_WIDTH - 4, sheet.height - GAP - 4)))


def _written(area: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.nonzero((area < NEARLY_WHITE).any(axis=2))
    return rows, columns


def test_cards_fill_a_grid_and_have_equal_sizes() -> None:
    sheet = contact_sheet([_entry(Line("one"))] * (COLUMNS + 1))
    single = contact_sheet([_entry(Line("one"))])
    card_height = single.height - 2 * GAP
    assert single.width == CARD_WIDTH + 2 * GAP
    assert sheet.size == (GAP + COLUMNS * (CARD_WIDTH + GAP), GAP + 2 * (card_height + GAP))


def test_the_longest_text_sets_the_height_of_all_cards() -> None:
    long = contact_sheet([_entry(Line(LONG))])
    both = contact_sheet([_entry(Line("short")), _entry(Line(LONG))])
    assert both.height == long.height > contact_sheet([_entry(Line("short"))]).height


@pytest.mark.parametrize("mark", ["plain", "right", "wrong", "note"])
@pytest.mark.parametrize("text", [LONG, "w" * 200], ids=["many words", "one long word"])
def test_long_text_is_wrapped_and_not_clipped(text: str, mark: Mark) -> None:
    area = _text_area(contact_sheet([_entry(Line(text, mark))]))
    rows, columns = _written(area)
    margin = PADDING - 4
    assert rows.max() < len(area) - margin + 4
    assert columns.min() >= margin - 1
    assert columns.max() <= margin + PICTURE


def test_all_lines_are_written_below_each_other() -> None:
    lines = [Line(f"line {number}") for number in range(5)]
    rows, _ = _written(_text_area(contact_sheet([_entry(*lines)])))
    starts = np.flatnonzero(np.diff(np.unique(rows)) > 1)
    assert len(starts) + 1 == len(lines)


@pytest.mark.parametrize(("mark", "channel"), [("right", 1), ("wrong", 0)])
def test_marks_are_drawn_in_their_color(mark: Mark, channel: int) -> None:
    area = _text_area(contact_sheet([_entry(Line("", mark))])).astype(int)
    others = [index for index in range(3) if index != channel]
    colored = area[:, :, channel] - area[:, :, others].max(axis=2) > COLORFUL
    assert colored.sum() > MARK_PIXELS
    assert not (_text_area(contact_sheet([_entry(Line(""))])) < NEARLY_WHITE).any()


def test_pictures_are_enlarged_and_never_stretched() -> None:
    wide = np.asarray(contact_sheet([_entry(size=(64, 32))]))
    rows, columns = np.nonzero((wide == GRAY).all(axis=2))
    assert np.ptp(columns) + 1 == PICTURE
    assert np.ptp(rows) + 1 == PICTURE // 2


def test_no_entries_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="at least one picture"):
        contact_sheet([])


@pytest.mark.parametrize("size", [(30_000, 2), (2, 30_000), (30_000, 1)])
def test_a_picture_of_no_height_to_speak_of_is_still_drawn(size: tuple[int, int]) -> None:
    for others in ([], [_entry()]):
        assert contact_sheet([_entry(size=size), *others]).width > CARD_WIDTH
