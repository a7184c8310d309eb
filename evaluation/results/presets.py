"""Streams as publications make them: which edits, when they are asked again, and the rates that they report.

Edits are made in the order of the dataset, and none is kept out of the stream. What the papers have otherwise
is said in the notes of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

from evaluation.data.cases import Kind

if TYPE_CHECKING:
    from evaluation.results.summary import Group

PresetName = Literal["vlkeb-gap", "liveedit", "t-patcher"]
GAPS = (0, 10, 20, 50, 100)
"""Of VLKEB, but for the first: how many edits are made between an edit and the questions about it."""
TESTS = 200
"""Of VLKEB: the first edits, which are asked about."""
SIZES = (1, 10, 100, 1000)
"""Of LiveEdit: how many edits are made before all of them are asked about."""


@dataclass(frozen=True, slots=True)
class Column:
    """A rate: a kind of probe, and the score of the legacy protocol that the paper takes of it."""

    kind: Kind
    legacy: str
    relation: Group | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """What a publication reports of its streams."""

    title: str
    row: str
    """What the rows of its tables are about."""
    about: str
    columns: Mapping[str, Column]


_VLKEB = {
    "Rel": Column("reliability", "token_accuracy"),
    "T-Gen": Column("text_generality", "token_accuracy"),
    "I-Gen": Column("image_generality", "token_accuracy"),
    "T-Loc": Column("text_locality", "top1", "far"),
    "I-Loc": Column("image_locality", "top10", "far"),
    "Port": Column("portability", "token_accuracy", "1-hop"),
}
_LIVEEDIT = {
    "Rel": Column("reliability", "token_accuracy"),
    "T-Gen": Column("text_generality", "token_accuracy"),
    "M-Gen": Column("image_generality", "token_accuracy"),
    "T-Loc": Column("text_locality", "answer_top1", "far"),
    "M-Loc": Column("image_locality", "answer_top1", "far"),
}
_T_PATCHER = {
    "SR": Column("reliability", "exact_match"),
    "GR": Column("text_generality", "exact_match"),
    "ER": Column("reliability", "exact_match"),
    "TrainR": Column("image_locality", "exact_match"),
    "TestR": Column("image_locality", "exact_match"),
}
_ABOUT: dict[PresetName, str] = {
    "vlkeb-gap": (
        "As VLKEB (arXiv:2403.07350, test_sequencial): each of the first 200 edits is asked about when so "
        "many more have been made. Gap 0 is ours. Of fewer edits than 300, large gaps have fewer tests."
    ),
    "liveedit": (
        "As LiveEdit (arXiv:2411.15432): so many edits are made, then all of them are asked about, and the "
        "next so many begin from the unedited model. The last edits, which the paper drops where they are "
        "fewer, are a group of their own."
    ),
    "t-patcher": (
        "As T-Patcher (arXiv:2301.09785): SR and GR are asked just after each edit, the question itself and "
        "in other words; ER, all edits, after the last. TrainR and TestR are then the share still right of "
        "what the unedited model answers right about images in either split, at most 200 questions; the "
        "paper counts what is learned along, too, and edits only what is wrong by then."
    ),
}
PRESETS: Mapping[PresetName, Preset] = MappingProxyType(
    {
        "vlkeb-gap": Preset("VLKEB's sequential editing", "gap", _ABOUT["vlkeb-gap"], _VLKEB),
        "liveedit": Preset("LiveEdit's lifelong editing", "edits", _ABOUT["liveedit"], _LIVEEDIT),
        "t-patcher": Preset("T-Patcher's sequential editing", "edits", _ABOUT["t-patcher"], _T_PATCHER),
    }
)


def known_preset(name: str) -> PresetName | None:
    """A publication whose rates are known; None of our own streams, and of what a later version may have."""
    return cast("PresetName", name) if name in PRESETS else None


def column_name(preset: str, title: str) -> str:
    """A column among those of all streams: ours have their titles alone."""
    return f"{preset} {title}".strip()


def groups(edits: int) -> Iterator[tuple[int, Sequence[int]]]:
    """LiveEdit's groups of so many edits in all: of how many edits a group should be, and their positions."""
    for size in dict.fromkeys(min(size, edits) for size in SIZES):
        for start in range(0, edits, size):
            yield size, range(start, min(start + size, edits))
