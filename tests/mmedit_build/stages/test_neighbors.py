"""Neighbors by hand: three texts and three images whose cosines are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmedit_build.recipe import AttachStage, Neighbors
from mmedit_build.rows import EditRow, Locality, Nearness, Relation, Split
from mmedit_build.stages import neighbors
from mmedit_build.stages.attach import near_item
from mmedit_build.stages.borders import Borders
from mmedit_build.stages.neighbors import Pool, Space, add_neighbors, candidates
from tests.mmedit_build.stages.conftest import item
from tests.mmedit_build.stages.test_attach import edit

CONFIG = AttachStage(
    neighbors=Neighbors(model="clip"),
    similar_question=1,
    near_right=1,
    far_right=1,
    near_wrong=1,
    far_wrong=1,
)


def turned(cosine: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A vector of length 1 that has this cosine with (1, 0)."""
    return np.array([cosine, (1 - cosine**2) ** 0.5], dtype=np.float32)


TEXTS = {"What is a?": 1.0, "What is b?": 0.8, "What is c?": 0.6, "What is d?": -0.5, "a photo of": 0.0}
IMAGES = {f"{number}.jpg": cosine for number, cosine in enumerate([0.1, 1.0, 0.9, 0.5, -0.7])}
SPACE = Space(
    {text: turned(cosine) for text, cosine in TEXTS.items()},
    {name: turned(cosine) for name, cosine in IMAGES.items()},
)


def mined(number: int, image: int, question: str, target: str = "green") -> EditRow:
    return replace(edit(number, image, question), target=target, prediction="green")


def served(number: int, image: int, question: str, split: Split = "train") -> EditRow:
    return replace(edit(number, image, question, split), locality=Locality(text=(), image=()))


def dealt(
    edits: Sequence[EditRow], right: Sequence[EditRow], wrong: Sequence[EditRow], config: AttachStage = CONFIG
) -> list[dict[Relation, str]]:
    borders = Borders(edits, [], "0")
    found = add_neighbors(edits, Pool(right, borders, SPACE), Pool(wrong, borders, SPACE), SPACE, config)
    assert all(row.locality for row in found)
    return [
        {one.relation: one.id.rpartition("/")[2] for one in (*of.image, *of.gain)}
        for row in found
        if (of := row.locality)
    ]


RIGHT = [
    mined(10, 1, "What is d?"),
    mined(11, 1, "What is b?"),
    mined(12, 2, "What is b?"),
    mined(13, 2, "What is d?"),
    mined(14, 4, "What is d?"),
    mined(15, 2, "What is a?"),
    mined(16, 2, "What is c?", target="red"),
]


def test_each_kind_is_what_it_says() -> None:
    wrong = [mined(20, 3, "What is b?"), mined(21, 3, "What is d?"), mined(22, 1, "What is c?")]
    (found,) = dealt([served(1, 1, "What is a?")], RIGHT, wrong)
    assert found == {
        # On image 1: the cosine of b is 0.8, that of d -0.5.
        "similar_question": "11",
        # (0.8 + 0.9) / 2; neither the edit's question (15) nor its answer (16) is dealt.
        "near_right": "12",
        # (-0.5 - 0.7) / 2
        "far_right": "14",
        # (0.8 + 0.5) / 2, and (-0.5 + 0.5) / 2; what is on the edit's image is no neighbor.
        "near_wrong": "20",
        "far_wrong": "21",
    }


def test_how_near_all_items_lie_is_told() -> None:
    edits = [served(1, 1, "What is a?")]
    fact = item(1, "What is c?")
    edits = [replace(edits[0], locality=Locality(text=(fact,), image=(item(2, "What is c?", 4),)))]
    borders = Borders(edits, [], "0")
    (row,) = add_neighbors(edits, Pool(RIGHT, borders, SPACE), Pool([], borders, SPACE), SPACE, CONFIG)
    assert row.locality is not None
    assert row.locality.nearness == {
        fact.id: Nearness(0.6, None),
        "okvqa/2": Nearness(0.6, -0.7),
        "vqa/val2014/11": Nearness(0.8, 1.0),
        "vqa/val2014/12": Nearness(0.8, 0.9),
        "vqa/val2014/14": Nearness(-0.5, -0.7),
    }


def test_a_caption_gets_no_neighbors_and_its_prompt_is_no_question() -> None:
    caption = replace(
        edit(1, 1, "", "train", caption=True), locality=Locality(text=(), image=(item(1, "What is b?", 2),))
    )
    borders = Borders([caption], [], "0")
    (row,) = add_neighbors([caption], Pool(RIGHT, borders, SPACE), Pool([], borders, SPACE), SPACE, CONFIG)
    assert row.locality is not None
    assert [one.relation for one in row.locality.image] == ["far"]
    assert row.locality.nearness == {"okvqa/1": Nearness(None, 0.9)}


def test_what_an_edit_has_already_is_not_dealt_again() -> None:
    first = served(1, 1, "What is a?")
    (known,) = (one for one in RIGHT if one.id.endswith("/12"))
    has = replace(first, locality=Locality(text=(), image=(near_item(known, "same_question"),)))
    (found,) = dealt([has], RIGHT, [])
    # The next one is 13: (-0.5 + 0.9) / 2.
    assert (found["same_question"], found["near_right"], found["far_right"]) == ("12", "13", "14")


def test_what_is_asked_twice_of_an_image_is_dealt_once() -> None:
    has = replace(
        served(1, 1, "What is a?"),
        locality=Locality(text=(), image=(near_item(mined(30, 2, "What is b?"), "same_question"),)),
    )
    # Answered right once and wrong once, as annotators differ: 13 and 23 ask the same, and 12 and 22.
    wrong = [mined(22, 2, "What is b?"), mined(23, 2, "What is d?"), mined(21, 3, "What is d?")]
    (found,) = dealt([has], RIGHT, wrong)
    assert found == {
        "same_question": "30",
        "similar_question": "11",
        # Of 12 and 30 there is but one; then (-0.5 + 0.9) / 2, and (-0.5 - 0.7) / 2.
        "near_right": "13",
        "far_right": "14",
        # Neither 22 nor 23 is left: (-0.5 + 0.5) / 2.
        "near_wrong": "21",
    }


def test_few_candidates_are_dealt_once() -> None:
    (found,) = dealt([served(1, 1, "What is a?")], [mined(12, 2, "What is b?")], [])
    assert found == {"near_right": "12"}
    assert dealt([served(1, 1, "What is a?")], [], []) == [{}]


@pytest.mark.parametrize("block", [1, 64])
def test_nothing_of_the_other_split_is_dealt(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(neighbors, "BLOCK", block)
    edits = [served(1, 1, "What is a?"), served(2, 4, "What is d?", "test")]
    near, far = dealt(edits, RIGHT, [])
    # Images 1 and 4 are those of edits, and the texts a and d theirs; image 2 is drawn for one of both.
    owner = Borders(edits, [], "0").of_image("2")
    assert near == {"similar_question": "11", **({"near_right": "12"} if owner == "train" else {})}
    assert "14" not in far.values()
    used = {"12", "16"} & set(far.values())
    assert bool(used) == (owner == "test")


def test_candidates_are_all_on_images_of_edits_and_so_many_others() -> None:
    edits = [edit(1, 1, "What is a?", "train")]
    rows = [*RIGHT, mined(17, 1, "what is A"), edit(18, 3, "", caption=True)]
    found = candidates(rows, edits, "0", most=2)
    numbers = [row.id.rpartition("/")[2] for row in found]
    # Not 17, which asks what the edit asks, nor a caption.
    assert sorted(numbers[:2]) == ["10", "11"]
    assert len(numbers) == 4
    assert set(numbers[2:]) < {"12", "13", "14", "15", "16"}
    assert found == candidates(rows[::-1], edits, "0", most=2)
    assert len(candidates(rows, edits, "0", most=99)) == 7
