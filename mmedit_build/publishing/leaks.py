"""Faults of a dataset that lie between its rows: duplicates, leaks, and locality items that are not there.

Rows are read from their files whenever they are gone through. Of what others are compared with only digests
are kept, and texts of what is at fault alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import itemgetter
from typing import Any

from mmedit_build.columns import EDITS, POOLS
from mmedit_build.digests import Digests
from mmedit_build.publishing.reading import Row, Tables
from mmedit_build.rows import SPLITS
from mmedit_build.scoring.text import plain

_CONTENT = ("image_id", "question", "answer", "prediction")
_id, _image = itemgetter("id"), itemgetter("image_id")


def duplicates(tables: Tables) -> Iterator[str]:
    """Ids that occur twice in a configuration, and locality items that are not the same for all edits."""
    for config in EDITS:
        ids = (row["id"] for row in tables.rows(config, SPLITS, "id"))
        yield from (f"the id {name} occurs twice in {config}" for name in _twice(ids))
    for config in POOLS:
        for split in SPLITS:
            # An item may be another question on the image of one edit, and the question of another edit.
            places = ((row["id"], row["relation"]) for row in tables.rows(config, [split], "id", "relation"))
            yield from (f"the id {name} occurs twice in {config}/{split}" for name, _ in _twice(places))
        contents = Digests()
        rows = tables.rows(config, SPLITS, "id", "answers", *_CONTENT)
        different = (row["id"] for row in rows if contents.add((row["id"], *_content(row))))
        yield from (f"the id {name} has two contents in {config}" for name in _twice(different))


def leaks(tables: Tables) -> Iterator[str]:
    """What stands both in train and in test."""
    yield from _shared(tables, "the image {} is that of edits in both splits", EDITS, _image, "image_id")
    message = "the question {!r} is in both splits"
    yield from _shared(tables, message, ["vqa"], _question, "question")
    message = "the text locality question {!r} is in both splits"
    yield from _shared(tables, message, ["text_locality"], _question, "question")
    for config, name in (("image_locality", "image locality"), ("gain", "gain")):
        message = f"the {name} pair {{}} is in both splits"
        yield from _shared(tables, message, [config], _pair, "image_id", "question")
        for here, there in (SPLITS, SPLITS[::-1]):
            images = Digests(_keys(tables, EDITS, there, _image, "image_id"))
            used = _keys(tables, [config], here, _image, "image_id")
            for image in dict.fromkeys(image for image in used if image in images):
                yield f"the image {image} of an edit in {there} is used by {name} in {here}"


def loose_ends(tables: Tables) -> Iterator[str]:
    """Locality items that edits name and pools lack, and the reverse."""
    for config in POOLS:
        for split in SPLITS:
            pool = Digests(_keys(tables, [config], split, _id, "id"))
            used, lost = Digests(), {}
            for edits in EDITS:
                for row in tables.rows(edits, [split], "id", config):
                    for item in row.get(config) or ():
                        used.add(item["id"])
                        if item["id"] not in pool:
                            lost[item["id"]] = row["id"]
            yield from (f"the item {item} of {row} is not in {config}/{split}" for item, row in lost.items())
            there = _keys(tables, [config], split, _id, "id")
            idle = sorted({item for item in there if item not in used})
            yield from (f"no edit uses {item} of {config}/{split}" for item in idle)


def _question(row: Row) -> Hashable:
    return plain(row["question"])


def _pair(row: Row) -> Hashable:
    return row["image_id"], plain(row["question"])


def _content(row: Row) -> tuple[Hashable, ...]:
    return (*(row.get(name) for name in _CONTENT), tuple(row["answers"]))


def _keys(
    tables: Tables, configs: Iterable[str], split: str, key: Callable[[Row], Any], *columns: str
) -> Iterator[Any]:
    return (key(row) for config in configs for row in tables.rows(config, [split], *columns))


def _twice(values: Iterable[Any]) -> list[Any]:
    seen = Digests()
    return list(dict.fromkeys(value for value in values if not seen.add(value)))


def _shared(
    tables: Tables, message: str, configs: Iterable[str], key: Callable[[Row], Any], *columns: str
) -> Iterator[str]:
    train, test = (_keys(tables, configs, split, key, *columns) for split in SPLITS)
    there = Digests(train)
    for value in dict.fromkeys(value for value in test if value in there):
        yield message.format(value)
