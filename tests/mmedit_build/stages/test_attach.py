from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from mmedit_build.engine.base import Rejected
from mmedit_build.recipe import AttachStage, FactFile, QuestionFiles
from mmedit_build.rows import SPLITS, EditRow, Locality, LocalityItem, Split
from mmedit_build.scoring.text import plain
from mmedit_build.stages.attach import Deck, assign
from tests.mmedit_build.stages.conftest import item

FACTS = FactFile(path="{sources}/nq/validation.json")
ASKED = QuestionFiles(
    questions="{sources}/okvqa/OpenEnded_mscoco_val2014_questions.json",
    annotations="{sources}/okvqa/mscoco_val2014_annotations.json",
    images="{sources}/images/val2014",
)
CONFIG = AttachStage(text=(FACTS,), image=(ASKED,))
SEEDS = range(12)


def edit(
    number: int,
    image: int,
    question: str,
    split: Split | None = None,
    *,
    caption: bool = False,
    answer: str = "green",
) -> EditRow:
    """An edit to red; without a split, what mining found to be answered right."""
    target = answer if split is None else "red"
    return EditRow(
        id=f"{'caption' if caption else 'vqa'}/val2014/{number}",
        task="caption" if caption else "vqa",
        image=f"{image}.jpg",
        image_id=str(image),
        question="a photo of" if caption else question,
        question_type="color",
        answers=(target,) * 10,
        target=target,
        prediction=target if split is None else "blue",
        first_prediction="blue",
        confidence=0.5,
        scores={"accuracy": 1.0},
        base="miniature/mllm",
        split=split,
    )


@dataclass(frozen=True)
class World:
    """Rows of all kinds, so few images and texts that they meet everywhere."""

    edits: list[EditRow]
    pools: list[LocalityItem]
    known: list[EditRow]


def world(seed: int) -> World:
    rng = random.Random(seed)
    images: dict[int, Split] = {image: rng.choices(SPLITS, (3, 1))[0] for image in range(60)}
    texts: dict[str, Split] = {f"What is {text}?": rng.choices(SPLITS, (3, 1))[0] for text in range(25)}
    pairs = [(image, text) for image in images for text in texts if images[image] == texts[text]]
    edits = [edit(n, *pair, images[pair[0]]) for n, pair in enumerate(rng.sample(pairs, 60))]
    shown = rng.sample(sorted(images), 15)
    edits += [edit(image, image, "", images[image], caption=True) for image in shown]
    everything = [(image, text.upper()) for image in range(90) for text in texts]
    known = [
        edit(10_000 + n, *pair, answer=rng.choice(("Red", "green")))
        for n, pair in enumerate(rng.sample(everything, 700))
    ]
    pools = [item(n, f"who is {rng.randrange(80)}") for n in range(100)]
    far = [*texts, *(f"Why is {n}?" for n in range(60))]
    pools += [item(n, rng.choice(far), rng.randrange(120)) for n in range(150)]
    pools += [item(1000 + n, row.question, int(row.image_id)) for n, row in enumerate(edits[:20])]
    return World(edits, pools, known)


def attached(outcomes: Sequence[EditRow | Rejected[EditRow]]) -> list[tuple[EditRow, Locality]]:
    return [(row, row.locality) for row in outcomes if isinstance(row, EditRow) and row.locality is not None]


def items(outcomes: Sequence[EditRow | Rejected[EditRow]], split: Split) -> list[LocalityItem]:
    return [
        one
        for row, locality in attached(outcomes)
        if row.split == split
        for one in (*locality.text, *locality.image)
    ]


def run(rows: World, config: AttachStage = CONFIG, seed: str = "0") -> list[EditRow | Rejected[EditRow]]:
    return assign(rows.edits, rows.pools, rows.known, config, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_of_one_split_is_in_the_other(seed: int) -> None:
    rows = world(seed)
    outcomes = run(rows)
    used = {split: items(outcomes, split) for split in SPLITS}
    of_items: dict[Split, set[str]] = {
        split: {one.image_id for one in used[split] if one.image_id is not None} for split in SPLITS
    }
    of_edits = {split: {row.image_id for row in rows.edits if row.split == split} for split in SPLITS}
    assert of_items["train"]
    assert of_items["test"]
    assert (of_items["train"] | of_edits["train"]).isdisjoint(of_items["test"] | of_edits["test"])
    far = {split: {plain(one.question) for one in used[split] if one.relation == "far"} for split in SPLITS}
    assert far["train"].isdisjoint(far["test"])
    asked = {
        split: {plain(row.question) for row in rows.edits if (row.split, row.task) == (split, "vqa")}
        for split in SPLITS
    }
    for split, other in (SPLITS, SPLITS[::-1]):
        assert asked[split].isdisjoint(plain(one.question) for one in used[other])


@pytest.mark.parametrize("seed", SEEDS)
def test_items_lie_to_their_edit_as_they_say(seed: int) -> None:
    rows = world(seed)
    known = {row.id for row in rows.known}
    failed = {(row.image_id, plain(row.question)) for row in rows.edits}
    kinds: Counter[str] = Counter()
    for row, locality in attached(run(rows)):
        assert all(one.image is None and one.relation == "far" for one in locality.text)
        for one in locality.image:
            kinds[one.relation] += 1
            same_image = one.image_id == row.image_id
            same_question = plain(one.question) == plain(row.question)
            assert (one.relation == "same_image") == same_image
            assert (one.relation == "same_question") == same_question
            assert (one.relation != "far") == (one.id in known)
            assert (one.image_id, plain(one.question)) not in failed
            assert plain(one.answer) != plain(row.target)
        assert len({one.id for one in locality.image}) == len(locality.image)
    assert min(kinds[relation] for relation in ("far", "same_image", "same_question")) > 10


def test_near_items_are_what_the_base_model_said() -> None:
    near = edit(2, 1, "What is b?")
    (row,) = assign([edit(1, 1, "What is a?", "train")], [], [near], AttachStage(), "0")
    assert isinstance(row, EditRow)
    assert row.locality is not None
    (one,) = row.locality.image
    assert (one.id, one.answer, one.prediction, one.image) == (near.id, "green", "green", "1.jpg")


def test_captions_have_near_items_on_their_image_only() -> None:
    known = [edit(2, 1, "a photo of"), edit(3, 2, "a photo of")]
    (row,) = assign([edit(1, 1, "", "test", caption=True)], [], known, AttachStage(), "0")
    assert isinstance(row, EditRow)
    assert row.locality == Locality(text=(), image=())


def test_known_captions_are_no_items() -> None:
    known = [edit(1, 1, "", caption=True)]
    (row,) = assign([edit(1, 1, "What?", "test")], [], known, AttachStage(), "0")
    assert isinstance(row, EditRow)
    assert row.locality == Locality(text=(), image=())


@pytest.mark.parametrize("seed", SEEDS)
def test_far_items_go_round_before_any_is_used_twice(seed: int) -> None:
    rows = world(seed)
    outcomes = run(rows)
    for split in SPLITS:
        used = Counter(one.id for one in items(outcomes, split) if one.image is None)
        assert max(used.values()) - min(used.values()) <= 1
        if max(used.values()) > 1:
            texts = {plain(one.question) for one in items(outcomes, split) if one.image is None}
            all_of_them = [one for one in rows.pools if one.image is None and plain(one.question) in texts]
            assert len(used) == len(all_of_them)


def test_pools_are_shared_out_as_the_edits_are() -> None:
    edits = [edit(n, n, f"What is {n}?", "test" if n < 100 else "train") for n in range(400)]
    pools = [
        *(item(n, f"who is {n}") for n in range(400)),
        *(item(n, f"why {n}", 1000 + n) for n in range(400)),
    ]
    outcomes = assign(edits, pools, [], CONFIG, "0")
    used = [one.id for split in SPLITS for one in items(outcomes, split)]
    # As many items as edits, and just as many for each split: each is used once.
    assert sorted(used) == sorted(one.id for one in pools)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    rows = world(seed)
    rng = random.Random(seed)
    mixed = World(
        rng.sample(rows.edits, len(rows.edits)),
        rng.sample(rows.pools, len(rows.pools)),
        rng.sample(rows.known, len(rows.known)),
    )
    outcomes = run(mixed)
    assert [one.id for one in outcomes] == [row.id for row in mixed.edits]
    assert {one.id: one for one in outcomes} == {one.id: one for one in run(rows)}
    assert outcomes != run(mixed, seed="1")


def test_more_items_are_given_when_the_recipe_asks_for_more() -> None:
    edits = [edit(n, n, "What?", "train") for n in range(3)]
    known = [edit(100 + n, 0, f"What is {n}?") for n in range(5)]
    known += [edit(200 + n, 50 + n, "what") for n in range(5)]
    pools = [*(item(n, f"who {n}") for n in range(9)), *(item(n, f"why {n}", 900 + n) for n in range(9))]
    config = CONFIG.model_copy(
        update={"text_items": 2, "image_items": 3, "same_image": 4, "same_question": 2}
    )
    served = attached(assign(edits, pools, known, config, "0"))
    locality = {row.id: locality for row, locality in served}
    first = locality["vqa/val2014/0"]
    assert len(first.text) == 2
    assert Counter(one.relation for one in first.image) == {"far": 3, "same_image": 4, "same_question": 2}
    none = config.model_copy(update={"same_image": 0, "same_question": 0})
    near_none = attached(assign(edits, pools, known, none, "0"))
    assert {one.relation for _, locality in near_none for one in locality.image} == {"far"}


def test_an_edit_for_which_a_pool_has_nothing_is_rejected() -> None:
    edits = [edit(1, 1, "What?", "train"), edit(2, 2, "Why?", "train")]
    pools = [item(1, "who"), item(2, "how", 1)]
    first, second = assign(edits, pools, [], CONFIG, "0")
    assert first == Rejected("vqa/val2014/1", "no locality item left", edits[0])
    assert isinstance(second, EditRow)


def test_what_an_edit_says_is_no_item_of_its_own() -> None:
    pools = [replace(item(n, f"who {n}", n or None), answer="The red", answers=("red",)) for n in range(8)]
    pools += [item(20, "who else"), item(21, "who else there", 30)]
    (row,) = assign([edit(99, 99, "What?", "train")], pools, [], CONFIG, "0")
    assert isinstance(row, EditRow)
    assert row.locality == Locality(text=(pools[-2],), image=(pools[-1],))


def test_a_recipe_without_pools_rejects_nothing() -> None:
    (row,) = assign([edit(1, 1, "What?", "train")], [], [], AttachStage(), "0")
    assert isinstance(row, EditRow)
    assert assign([], [], [], CONFIG, "0") == []


def anything(one: LocalityItem) -> bool:
    return bool(one.id)


def test_a_deck_keeps_what_does_not_fit_on_top() -> None:
    deck = Deck([item(n, "who") for n in range(4)], "0")
    order = [one.id for one in deck.deal(4, anything)]
    assert [one.id for one in deck.deal(1, lambda one: one.id != order[0])] == [order[1]]
    assert [one.id for one in deck.deal(5, anything)] == [order[0], order[2], order[3], order[1]]
