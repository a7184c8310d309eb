"""As many questions of the pools are asked as the edits need."""

from __future__ import annotations

import pytest

from mmedit_build.recipe import AttachStage
from mmedit_build.stages import rounds
from mmedit_build.stages.rounds import Sort, drawn, first_round, next_round, shortage
from tests.mmedit_build.stages.conftest import item
from tests.mmedit_build.stages.test_attach import CONFIG, edit

POOLS = [
    *(item(n, f"who is {n}") for n in range(50)),
    *(item(n, f"why is {n}?", 1000 + n) for n in range(400)),
]
EDITS = [edit(n, n, f"What is {n}?", "train" if n % 4 else "test") for n in range(20)]


@pytest.fixture(autouse=True)
def _small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LEAST", 10)


def test_the_first_round_asks_half_more_than_is_needed() -> None:
    assert first_round(20, POOLS, CONFIG) == {"text": 30, "image": 30}
    more = CONFIG.model_copy(update={"image_items": 4, "text_items": 3})
    # There are only 50 facts.
    assert first_round(20, POOLS, more) == {"text": 50, "image": 120}
    assert first_round(2, POOLS, AttachStage()) == {"text": 10, "image": 10}


def test_questions_are_drawn_by_the_seed_and_stand_as_in_the_pools() -> None:
    few = drawn(POOLS, {"text": 3, "image": 5}, "0")
    assert [one.image is None for one in few] == [True] * 3 + [False] * 5
    assert few == [one for one in POOLS if one in few]
    more = drawn(POOLS, {"text": 3, "image": 50}, "0")
    assert {one.id for one in few} < {one.id for one in more}
    assert few != drawn(POOLS, {"text": 3, "image": 5}, "1")
    assert drawn(POOLS, {"text": 50, "image": 400}, "0") == POOLS


def test_short_is_what_would_have_to_be_used_twice() -> None:
    enough, few = POOLS[50:90], POOLS[50:63]
    assert shortage("image", EDITS, enough, CONFIG, "0") == 0
    assert shortage("image", EDITS, few, CONFIG, "0") == 7
    assert shortage("text", EDITS, few, CONFIG, "0") == 20


def test_it_ends_where_none_is_short() -> None:
    asked = first_round(20, POOLS, CONFIG)
    assert next_round(asked, drawn(POOLS, asked, "0"), EDITS, POOLS, CONFIG, "0") == asked


def test_what_is_short_is_asked_for_by_how_much_of_it_was_right() -> None:
    asked: dict[Sort, int] = {"text": 30, "image": 30}
    right = [*drawn(POOLS, {"text": 30, "image": 0}, "0"), *POOLS[50:60]]
    # Ten of thirty were right, and ten are lacking: 1.5 times thirty more.
    assert next_round(asked, right, EDITS, POOLS, CONFIG, "0") == {"text": 30, "image": 75}


def test_it_ends_with_the_pool() -> None:
    asked: dict[Sort, int] = {"text": 50, "image": 400}
    assert next_round(asked, [], EDITS, POOLS, CONFIG, "0") == asked
    assert next_round({"text": 40, "image": 390}, [], EDITS, POOLS, CONFIG, "0") == asked
