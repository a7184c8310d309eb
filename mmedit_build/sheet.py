"""Contact sheets: pictures in a grid of cards, each with marked lines of text under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mmedit_build.errors import UserError

Mark = Literal["plain", "right", "wrong", "note"]
Font = ImageFont.FreeTypeFont
RGB = tuple[int, int, int]

COLUMNS = 4
PICTURE = 256
"""Width of a picture on its card, and the most that it is high; it is made to fit."""
PADDING = 20
"""Space between the edge of a card and what is on it."""
GAP = 24
"""Space between cards, and around all of them."""
CARD_WIDTH = PICTURE + 2 * PADDING

_FLATTEST = 100
"""How many times longer than wide a picture may be; of a flatter one not a pixel would be left, and it is
stretched."""
_FONT_SIZE = 15
_LINE_HEIGHT = 21
_BETWEEN_LINES = 7
_UNDER_PICTURE = 13
_INDENT = 22
"""How far text moves to the right to leave room for marks."""
_SMOOTHING = 4
"""How many times larger marks and frames are drawn before they are shrunk, which smooths their edges."""

_WHITE: RGB = (255, 255, 255)
_FRAME: RGB = (218, 222, 230)
_TEXT_COLORS: dict[Mark, RGB] = {
    "plain": (32, 36, 44),
    "right": (20, 110, 58),
    "wrong": (178, 34, 42),
    "note": (112, 118, 130),
}
_MARK_COLORS: dict[Mark, RGB] = {"right": (34, 150, 82), "wrong": (212, 54, 60)}
_MARK_LINES: dict[Mark, tuple[tuple[tuple[float, float], ...], ...]] = {
    "right": (((0.27, 0.52), (0.44, 0.69), (0.74, 0.34)),),
    "wrong": (((0.32, 0.32), (0.68, 0.68)), ((0.68, 0.32), (0.32, 0.68))),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A text under a picture: `right` gets a green tick, `wrong` a red cross, `note` is gray."""

    text: str
    mark: Mark = "plain"


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture and what stands under it."""

    image: Image.Image
    lines: Sequence[Line]


def contact_sheet(entries: Sequence[Entry]) -> Image.Image:
    """One picture of all entries as cards of equal size, as high as the longest text needs."""
    if not entries:
        raise UserError("A contact sheet needs at least one picture: ask for one or more.")
    columns = min(COLUMNS, len(entries))
    tallest = max(_picture_height(entry) for entry in entries)
    height = max(_card_height(entry, tallest) for entry in entries)
    size = (
        GAP + columns * (CARD_WIDTH + GAP),
        GAP + math.ceil(len(entries) / columns) * (height + GAP),
    )
    sheet = Image.new("RGB", size, _WHITE)
    for index, entry in enumerate(entries):
        row, column = divmod(index, columns)
        card = _card(entry, tallest, height)
        sheet.paste(card, (GAP + column * (CARD_WIDTH + GAP), GAP + row * (height + GAP)))
    return sheet


def drawable(image: Image.Image) -> Image.Image:
    """The image in RGB, and no flatter than can be drawn small."""
    width, height = image.size
    size = (min(width, height * _FLATTEST), min(height, width * _FLATTEST))
    return image.convert("RGB") if size == image.size else image.convert("RGB").resize(size)


def _picture_height(entry: Entry) -> int:
    """As high as the picture is at its full width, but no higher than wide."""
    return min(PICTURE, max(1, round(PICTURE * entry.image.height / entry.image.width)))


def _card_height(entry: Entry, tallest: int) -> int:
    left = _text_left(entry)
    rows = sum(len(_wrapped(line.text, PICTURE - left)) for line in entry.lines)
    spaces = _UNDER_PICTURE + _BETWEEN_LINES * (len(entry.lines) - 1) if entry.lines else 0
    return PADDING + tallest + spaces + rows * _LINE_HEIGHT + PADDING


def _text_left(entry: Entry) -> int:
    """All lines of a card begin below each other, so one mark moves them all to the right."""
    return _INDENT if any(line.mark in _MARK_LINES for line in entry.lines) else 0


def _card(entry: Entry, tallest: int, height: int) -> Image.Image:
    card = _frame(height).copy()
    picture = ImageOps.pad(drawable(entry.image), (PICTURE, tallest), color=_WHITE)
    card.paste(picture, (PADDING, PADDING))
    left, top = _text_left(entry), PADDING + tallest + _UNDER_PICTURE
    for line in entry.lines:
        pieces = _wrapped(line.text, PICTURE - left)
        _write(card, line.mark, pieces, (PADDING + left, top))
        top += len(pieces) * _LINE_HEIGHT + _BETWEEN_LINES
    return card


def _write(card: Image.Image, mark: Mark, pieces: list[str], corner: tuple[int, int]) -> None:
    left, top = corner
    if mark in _MARK_LINES:
        badge = _badge(mark)
        card.paste(badge, (PADDING, top + (_LINE_HEIGHT - badge.height) // 2), badge)
    pen = ImageDraw.Draw(card)
    for number, words in enumerate(pieces):
        middle = top + number * _LINE_HEIGHT + _LINE_HEIGHT / 2
        pen.text((left, middle), words, font=_font(), fill=_TEXT_COLORS[mark], anchor="lm")


def _wrapped(text: str, width: int) -> list[str]:
    """The text in pieces that fit the width; a word that is too long for a line is broken."""
    pieces: list[str] = []
    for word in text.split():
        joined = f"{pieces[-1]} {word}" if pieces else word
        if pieces and _font().getlength(joined) <= width:
            pieces[-1] = joined
        else:
            pieces.extend(_broken(word, width))
    return pieces or [""]


def _broken(word: str, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and _font().getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


@cache
def _font() -> Font:
    font = ImageFont.load_default(size=_FONT_SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise UserError("This Pillow has no FreeType: install Pillow from PyPI to draw contact sheets.")
    return font


@cache
def _badge(mark: Mark) -> Image.Image:
    """A colored disk with a white tick or cross, drawn rather than written, as fonts may lack the glyphs."""
    side = 15 * _SMOOTHING
    color = _MARK_COLORS[mark]
    badge = Image.new("RGBA", (side, side), (*color, 0))
    pen = ImageDraw.Draw(badge)
    pen.ellipse((0, 0, side - 1, side - 1), fill=color)
    for points in _MARK_LINES[mark]:
        pen.line([(x * side, y * side) for x, y in points], fill=_WHITE, width=side // 8, joint="curve")
    return badge.reduce(_SMOOTHING)


@cache
def _frame(height: int) -> Image.Image:
    """An empty card: a thin gray frame with round corners."""
    size = (CARD_WIDTH * _SMOOTHING, height * _SMOOTHING)
    card = Image.new("RGB", size, _WHITE)
    box = (0, 0, size[0] - 1, size[1] - 1)
    ImageDraw.Draw(card).rounded_rectangle(box, radius=10 * _SMOOTHING, outline=_FRAME, width=_SMOOTHING + 1)
    return card.reduce(_SMOOTHING)
