from __future__ import annotations

from collections import Counter

import pytest

from mmedit_build.rows import EditRow, Split
from mmedit_build.stages.borders import Borders
from tests.mmedit_build.stages.conftest import item


def edit(number: int, image: int, question: str, split: Split | None) -> EditRow:
    return EditRow(
        id=f"vqa/val2014/{number}",
        task="vqa",
        image=f"{image}.jpg",
        image_id=str(image),
        question=question,
        question_type="color",
        answers=("red",) * 10,
        target="red",
        prediction="blue",
        first_prediction="blue",
        confidence=None,
        scores={},
        base="miniature/mllm",
        split=split,
    )


def edits(train: int, test: int) -> list[EditRow]:
    return [edit(n, n, f"What is {n}?", "train" if n < train else "test") for n in range(train + test)]


def test_what_edits_of_both_splits_have_belongs_to_neither() -> None:
    torn = [
        edit(1, 5, "What is this?", "train"),
        edit(2, 5, "What?", "test"),
        edit(3, 6, "what is this", "test"),
    ]
    pools = [item(1, "why", 5), item(2, "What is this", 70), item(3, "how", 70)]
    borders = Borders(torn, pools, "0")
    assert borders.of_image("5") is None
    assert borders.of_item(pools[0]) is None
    assert borders.of_item(pools[1]) is None
    assert not any(borders.admit(row, item(4, "What is this?", 6)) for row in torn)


def test_questions_about_images_of_edits_follow_them() -> None:
    rows = edits(30, 10)
    pools = [item(n, f"why {n}", n) for n in range(40)]
    borders = Borders(rows, pools, "0")
    assert [borders.of_item(one) for one in pools] == [row.split for row in rows]


def test_the_other_questions_make_up_for_what_a_split_lacks() -> None:
    pools = [item(n, f"why {n}", n) for n in range(30)] + [item(n, f"who {n}", n) for n in range(100, 150)]
    borders = Borders(edits(30, 10), pools, "0")
    assert Counter(borders.of_item(one) for one in pools) == {"train": 60, "test": 20}


def test_one_text_is_in_one_split_whatever_its_spelling() -> None:
    pools = [item(n, ("Who?", "who", "WHO")[n % 3]) for n in range(30)] + [item(99, "when")]
    borders = Borders(edits(3, 1), pools, "0")
    assert Counter(borders.of_item(one) for one in pools) == {"train": 30, "test": 1}


def test_other_images_are_drawn_in_proportion() -> None:
    borders = Borders(edits(300, 100), [], "0")
    counts = Counter(borders.of_image(str(image)) for image in range(1000, 5000))
    assert set(counts) == {"train", "test"}
    assert counts["train"] == pytest.approx(3000, abs=120)
    again = Borders(edits(300, 100)[::-1], [], "0")
    assert [again.of_image(str(n)) for n in range(5000)] == [borders.of_image(str(n)) for n in range(5000)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_with_edits_of_one_split_everything_is_its(split: Split) -> None:
    pools = [item(1, "why"), item(2, "who", 50)]
    borders = Borders([edit(1, 1, "What?", split)], pools, "0")
    assert [borders.of_item(one) for one in pools] == [split, split]
    assert {borders.of_image(str(image)) for image in range(100)} == {split}


def test_an_edit_that_has_no_split_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="vqa/val2014/1 has no split"):
        Borders([edit(1, 1, "What?", None)], [], "0")
