"""What a caption says, in parts that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Quality(NamedTuple):
    """Something that is said of a thing, such as its color, and what it may be."""

    of: str
    values: frozenset[str]


class Relation(NamedTuple):
    """Of two things, by their places among those said: the first is left of, above or before the second."""

    of: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a caption says is there."""

    name: str
    text: str
    least: int
    most: float
    counted: bool
    """Whether its number is a statement; that of grass is not."""
    qualities: tuple[Quality, ...] = ()


@dataclass(slots=True)
class Said:
    """All that a caption says."""

    things: list[Thing] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    hints: set[str] = field(default_factory=set)
    """Names of all things that any word is about: "skiing" is about skis, "pizza cutter" about pizza."""
