"""Faults of a dataset that lie between its rows: duplicates, leaks, and locality items that are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from mmedit_build.columns import EDITS, POOLS
from mmedit_build.rows import SPLITS, Split
from mmedit_build.scoring.text import plain

Row = dict[str, Any]
Tables = dict[str, dict[str, list[Row]]]
"""Rows by configuration and split."""


def duplicates(tables: Tables) -> Iterator[str]:
    """Ids that occur twice in a configuration, and locality items that are not the same for all edits."""
    for config in EDITS:
        rows = [row for split in tables.get(config, {}).values() for row in split]
        yield from (f"the id {name} occurs twice in {config}" for name in _twice(row["id"] for row in rows))
    for config in POOLS:
        pool = tables.get(config, {})
        for split, rows in pool.items():
            # An item may be another question on the image of one edit, and the question of another edit.
            places = _twice((row["id"], row["relation"]) for row in rows)
            yield from (f"the id {name} occurs twice in {config}/{split}" for name, _ in places)
        contents = {(row["id"], *_content(row)) for rows in pool.values() for row in rows}
        yield from (
            f"the id {name} has two contents in {config}" for name in _twice(key[0] for key in contents)
        )


def leaks(tables: Tables) -> Iterator[str]:
    """What stands both in train and in test."""
    edits = {split: [row for config in EDITS for row in _rows(tables, config, split)] for split in SPLITS}
    yield from _shared("the image {} is that of edits in both splits", edits, lambda row: row["image_id"])
    questions = {split: _rows(tables, "vqa", split) for split in SPLITS}
    yield from _shared("the question {!r} is in both splits", questions, lambda row: plain(row["question"]))
    facts = {split: _rows(tables, "text_locality", split) for split in SPLITS}
    yield from _shared(
        "the text locality question {!r} is in both splits", facts, lambda row: plain(row["question"])
    )
    for config, name in (("image_locality", "image locality"), ("gain", "gain")):
        pairs = {split: _rows(tables, config, split) for split in SPLITS}
        yield from _shared(
            f"the {name} pair {{}} is in both splits",
            pairs,
            lambda row: (row["image_id"], plain(row["question"])),
        )
        for here, there in (SPLITS, SPLITS[::-1]):
            images = {row["image_id"] for row in edits[there]}
            for image in dict.fromkeys(row["image_id"] for row in pairs[here] if row["image_id"] in images):
                yield f"the image {image} of an edit in {there} is used by {name} in {here}"


def loose_ends(tables: Tables) -> Iterator[str]:
    """Locality items that edits name and pools lack, and the reverse."""
    for config in POOLS:
        for split in SPLITS:
            used = {
                item["id"]: row["id"]
                for edits in EDITS
                for row in _rows(tables, edits, split)
                for item in row.get(config) or ()
            }
            there = {row["id"] for row in _rows(tables, config, split)}
            yield from (
                f"the item {item} of {row} is not in {config}/{split}"
                for item, row in used.items()
                if item not in there
            )
            yield from (
                f"no edit uses {item} of {config}/{split}" for item in sorted(there) if item not in used
            )


def _rows(tables: Tables, config: str, split: str) -> list[Row]:
    return tables.get(config, {}).get(split, [])


def _content(row: Row) -> tuple[Hashable, ...]:
    names = ("image_id", "question", "answer", "prediction")
    return (*(row.get(name) for name in names), tuple(row["answers"]))


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, number in Counter(values).items() if number > 1]


def _shared(message: str, rows: Mapping[Split, list[Row]], key: Callable[[Row], Hashable]) -> Iterator[str]:
    train = {key(row) for row in rows["train"]}
    for value in dict.fromkeys(key(row) for row in rows["test"]):
        if value in train:
            yield message.format(value)
