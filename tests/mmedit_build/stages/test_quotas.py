"""No more is asked than it takes, and what is found then is as balanced as if all had been asked."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields

import pytest

from mmedit_build.recipe import Sizes
from mmedit_build.rows import EditRow, Example, Task
from mmedit_build.stages.quotas import Quotas
from mmedit_build.stages.select import cut, placed
from tests.mmedit_build.stages.test_select import edit

SIZES: dict[Task, Sizes] = {"vqa": Sizes(train=90, test=30), "caption": Sizes(train=40, test=20)}
FAILING = {"color": 0.5, "count": 0.3, "size": 0.1, "rare": 0.5, "known": 0.0}
"""By type of question, how often the base model fails."""


def asked_about(images: int) -> list[EditRow]:
    """Each image has its caption, five questions, and seldom a sixth of a rare type, or one that is known."""
    rng = random.Random(0)
    rows: list[EditRow] = []
    for image in range(images):
        rows.append(edit(image, image, task="caption"))
        kinds = [*rng.choices(("color", "count", "size"), k=5)]
        kinds += ["rare"] * (image % 100 == 0) + ["known"] * (image % 10 == 0)
        rows += [
            edit(image * 10 + place, image, f"{kind} {rng.randrange(400)}?", kind, "vqa")
            for place, kind in enumerate(kinds)
        ]
    return rows


def fails(row: Example) -> bool:
    return random.Random(row.id).random() < FAILING.get(row.question_type, 0.3)


def mined(rows: list[EditRow], sizes: dict[Task, Sizes] = SIZES) -> tuple[Quotas, list[dict[str, int]]]:
    """Ask in rounds; the numbers of each round by type."""
    drawn = Quotas(rows, sizes, "0")
    asked, rounds = drawn.first(), []
    while True:
        rounds.append({kind: number for (_, kind), number in asked.items()})
        more = drawn.next(asked, [row for row in found(drawn.drawn(asked)) if fails(row)])
        if more == asked:
            return drawn, rounds
        asked = more


def found(rows: list[Example]) -> list[EditRow]:
    return [row for row in rows if isinstance(row, EditRow)]


def balance(rows: list[EditRow]) -> Counter[tuple[str, str | None]]:
    edits, _ = cut(placed([row for row in rows if fails(row)], SIZES, "0"), SIZES, "0")
    return Counter((row.question_type, row.split) for row in edits)


def test_it_stops_when_there_is_enough_of_each_type() -> None:
    rows = asked_about(3000)
    drawn, rounds = mined(rows)
    there = Counter(row.question_type for row in rows)
    last = rounds[-1]
    assert 1 < len(rounds) < 8
    # Of what is rare, or known, nothing is left to ask.
    assert last["rare"] == there["rare"]
    assert last["known"] == there["known"]
    assert all(last[kind] < there[kind] / 3 for kind in ("color", "count", "size", "caption"))
    kinds: dict[tuple[Task, str], int] = {(row.task, row.question_type): 0 for row in rows}
    asked = drawn.drawn({kind: last[kind[1]] for kind in kinds})
    few, all_ = balance(found(asked)), balance(rows)
    assert sum(few.values()) == sum(all_.values()) == 180
    for split in ("train", "test"):
        going = [few[kind, split] for kind in ("color", "count", "size")]
        assert max(going) - min(going) <= 1
        assert few["known", split] == 0 < few["rare", split]


def test_what_is_common_is_asked_less_of_than_what_seldom_fails() -> None:
    _, rounds = mined(asked_about(3000))
    assert rounds[-1]["color"] < rounds[-1]["count"] < rounds[-1]["size"]


def test_all_is_asked_where_there_is_too_little() -> None:
    rows = asked_about(60)
    _, rounds = mined(rows)
    assert sum(rounds[-1].values()) == len(rows)


def test_the_order_of_the_examples_decides_nothing() -> None:
    rows = asked_about(400)
    one, other = Quotas(rows, SIZES, "0"), Quotas(rows[::-1], SIZES, "0")
    assert one.first() == other.first()
    names = {row.id for row in one.drawn(one.first())}
    assert names == {row.id for row in other.drawn(other.first())}
    another = Quotas(rows, SIZES, "1")
    assert names != {row.id for row in another.drawn(another.first())}


def test_company_is_all_else_about_the_images_of_edits() -> None:
    rows = asked_about(50)
    drawn = Quotas(rows, {"vqa": Sizes(train=1, test=1)}, "0")
    asked = dict.fromkeys(drawn.first(), 0)
    assert drawn.with_company(asked, rows[:1]) == [row for row in rows if row.image == rows[0].image]
    assert drawn.with_company(asked, []) == []


@pytest.mark.parametrize("wanted", [1, 2, 7])
def test_sizes_smaller_than_the_number_of_types_end_too(wanted: int) -> None:
    _, rounds = mined(asked_about(300), {"vqa": Sizes(train=wanted, test=1)})
    assert len(rounds) < 10


def test_nothing_but_ids_types_and_images_matters_of_an_example() -> None:
    rows = asked_about(20)
    bare = [Example(**{one.name: getattr(row, one.name) for one in fields(Example)}) for row in rows]
    assert Quotas(bare, SIZES, "0").first() == Quotas(rows, SIZES, "0").first()
