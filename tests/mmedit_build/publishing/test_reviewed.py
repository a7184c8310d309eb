"""Datasets of builds that people reviewed: what was refused is out or marked, and the card tells it all."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from mmedit_build.anew import Anew
from mmedit_build.publishing import build_dataset
from mmedit_build.publishing.files import CARD, MANIFEST
from mmedit_build.recipe import Review
from mmedit_build.review.answers import Answer, open_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.review.heeding import Heeded, heed
from mmedit_build.rows import EditRow
from tests.mmedit_build.publishing.conftest import World

PEOPLE = ("ada-lovelace", "ben.bitdiddle")


def say(world: World, *answers: tuple[str, str, Answer]) -> None:
    """Two people judge all rows, and say yes but for some answers of both, by question and id."""
    other = {(question, row_id): answer for question, row_id, answer in answers}
    for who in PEOPLE:
        with open_answers(world.work, who) as given:
            for edit in world.edits:
                for one in asked_of(edit):
                    given.give(one, other.get((one.question, one.id), "yes"))


def publish(world: World, rule: Review | None) -> tuple[Path, Heeded]:
    heeded = heed(world.edits, world.work, rule)
    recipe = world.recipe(review=rule.model_dump() if rule else None)
    return build_dataset(heeded.edits, world.work, recipe, world.counts, world.audit, heeded.figures), heeded


REFUSED: tuple[tuple[str, str, Answer], ...] = (
    ("rephrase", "vqa/val2014/0", "no"),
    ("locality", "okvqa/9", "no"),
    ("painting", "caption/val2014/7", "unsure"),
)


def rows(folder: Path, config: str, split: str) -> list[Any]:
    return list(load_dataset(str(folder), config, split=split, cache_dir=str(folder.parent / "cache")))


def test_what_was_refused_is_left_out_and_told(world: World) -> None:
    say(world, *REFUSED)
    folder, heeded = publish(world, Review())
    train = rows(folder, "vqa", "train")
    assert [row["id"] for row in train] == ["vqa/val2014/1", "vqa/val2014/2"]
    assert dict(heeded.tally.rejected) == {"review: rephrase": 1}
    # A refused item is in no row and in no table; its row keeps the others.
    assert [item["id"] for item in train[0]["image_locality"]] == ["okvqa/20"]
    assert "okvqa/9" not in {row["id"] for row in rows(folder, "image_locality", "train")}
    assert {
        "question": "failure",
        "id": "vqa/val2014/1",
        "yes": 2,
        "no": 0,
        "unsure": 0,
        "refused": False,
    } in (train[0]["review"])
    card = (folder / CARD).read_text()
    assert "2 people judged 8 rows as built" in card
    assert "Something is refused where more of them say no than yes." in card
    assert "| rephrase | train | 3 | 3 | 1 | 33.3% (6.1% to 79.2%) |" in card
    assert "| painting | test | 3 | 2 | 0 | 0.0% (0.0% to 65.8%) |" in card
    assert "| rephrase | 5 | 100.0% | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) |" in card
    assert "| `review` | What people said" in card


def test_the_manifest_has_the_numbers_and_no_file_a_name(world: World) -> None:
    say(world, *REFUSED)
    folder, _ = publish(world, Review())
    told = json.loads((folder / MANIFEST).read_text())["review"]
    assert (told["people"], told["rows"]) == (2, 8)
    assert told["rule"] == {"refused_by": "majority", "then": "drop"}
    assert told["errors"][2]["question"] == "rephrase"
    assert told["errors"][2]["refused"] == 1
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [who for who in PEOPLE if who.encode() in data]


def test_marked_rows_stay(world: World) -> None:
    say(world, *REFUSED)
    folder, _ = publish(world, Review(then="mark"))
    first, second, _ = rows(folder, "vqa", "train")
    marks = [
        (one["question"], one["id"]) for row in (first, second) for one in row["review"] if one["refused"]
    ]
    assert marks == [("rephrase", "vqa/val2014/0"), ("locality", "okvqa/9")]
    assert "marked in the column `review`" in (folder / CARD).read_text()


@pytest.mark.parametrize("rule", [None, Review()])
def test_a_build_that_nobody_reviewed_or_whose_review_does_not_count(
    world: World, rule: Review | None
) -> None:
    if rule is None:
        say(world, *REFUSED)
    folder, heeded = publish(world, rule)
    assert heeded.figures is None
    assert len(rows(folder, "vqa", "train")) == 3
    assert "review" not in rows(folder, "vqa", "train")[0]
    assert "review" not in json.loads((folder / MANIFEST).read_text())
    assert "No row of this dataset was judged by people." in (folder / CARD).read_text()


def test_edits_of_a_reviewed_build_are_gone_through_and_not_held(world: World) -> None:
    say(world, *REFUSED)

    def edits() -> Iterator[EditRow]:
        yield from world.edits
        yield from (replace(world.edits[0], id=f"{number}", question="x" * 20_000) for number in range(300))

    tracemalloc.start()
    heeded = heed(Anew(edits), world.work, Review())
    left = [edit.id for edit in heeded.edits]
    deque(heeded.edits, maxlen=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (heeded.tally.kept, dict(heeded.tally.rejected)) == (307, {"review: rephrase": 1})
    assert len(left) == 307
    assert left[:2] == ["vqa/val2014/1", "vqa/val2014/2"]
    # Their questions alone are 6 MB.
    assert peak < 1 << 20
