"""The ten annotators mostly agree, and disagree in ways that people do."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mmedit_build.miniature.annotators import (
    ANNOTATORS,
    CONFIDENCES,
    MIX_UPS,
    SYNONYMS,
    annotate,
    likely_mistakes,
    mistyped,
)
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene, Thing
from mmedit_build.scoring.vqa import vqa_accuracy

SCENE = Scene((Thing(0, "cat", "red", big=True), Thing(1, "key", "blue", big=False)), "snow")
VALUES = ("yes", "no", "0", "1", "4", "big", "small", *COLORS, *CORNERS, *KINDS, *BACKGROUNDS)


def _texts(answer: str, seed: int) -> list[str]:
    return [one.answer for one in annotate(answer, SCENE, random.Random(seed))]


@pytest.mark.parametrize("answer", VALUES)
def test_the_right_answer_is_always_the_most_common(answer: str) -> None:
    for seed in range(60):
        texts = _texts(answer, seed)
        assert len(texts) == ANNOTATORS
        (_, most), *rest = Counter(texts).most_common()
        assert texts.count(answer) == most
        assert all(number < most for _, number in rest)
        assert vqa_accuracy(answer, texts) == 1


def test_agreement_is_as_planned() -> None:
    agreeing = Counter(
        _texts(answer, seed).count(answer) for seed, answer in enumerate(VALUES * (2000 // len(VALUES)))
    )
    share = {number: count / agreeing.total() for number, count in agreeing.items()}
    assert 0.40 < share[10] < 0.50
    assert 0.44 < share[9] + share[8] + share[7] < 0.56
    assert 0.02 < sum(share.get(number, 0) for number in (4, 5, 6)) < 0.08
    assert min(agreeing) >= 4


def test_all_confidences_occur_and_most_are_sure() -> None:
    found = Counter(
        one.confidence for seed in range(200) for one in annotate("cat", SCENE, random.Random(seed))
    )
    assert set(found) == set(CONFIDENCES)
    assert found["yes"] > 0.75 * found.total()


def test_deviations_are_synonyms_or_likely_mistakes_or_slips_of_the_pen() -> None:
    found = {text for seed in range(400) for text in _texts("purple", seed)}
    named = {"purple", *SYNONYMS["purple"], *MIX_UPS["purple"]}
    assert named <= found
    assert all(set(text) <= set("purple") and len(text) in (5, 6) for text in found - named)


@pytest.mark.parametrize(
    ("answer", "mistakes"),
    [
        ("2", {"1", "3"}),
        ("0", {"1"}),
        ("top left", {"top right", "bottom left"}),
        ("bottom right", {"top right", "bottom left"}),
        ("yes", {"no"}),
        ("kitchen", set()),
    ],
)
def test_likely_mistakes(answer: str, mistakes: set[str]) -> None:
    assert set(likely_mistakes(answer, SCENE)) == mistakes


def test_other_things_of_the_scene_are_likely_mistakes() -> None:
    assert {"cat", "key"} <= set(likely_mistakes("boat", SCENE))


def test_given_alternatives_and_mistakes_are_used() -> None:
    texts = Counter(
        one.answer
        for seed in range(300)
        for one in annotate(
            "road", SCENE, random.Random(seed), alternatives=["street"], mistakes=["sea", "road"]
        )
    )
    assert texts["road"] > 2000
    assert min(texts["street"], texts["sea"]) > 50


def test_who_has_no_other_answer_is_not_sure() -> None:
    found = {one.answer for seed in range(60) for one in annotate("sweet", SCENE, random.Random(seed))}
    assert {"sweet", "unknown", "not sure"} <= found


def test_mistyped_is_near_and_never_the_text() -> None:
    for text in ("tree", "ball", "night sky", "aaaa"):
        for seed in range(50):
            wrong = mistyped(text, random.Random(seed))
            assert wrong != text
            assert len(text) - 1 <= len(wrong) <= len(text)


@pytest.mark.parametrize("answer", SYNONYMS)
def test_synonyms_are_not_mistakes(answer: str) -> None:
    assert not set(SYNONYMS[answer]) & {answer, *MIX_UPS.get(answer, ())}


def test_every_word_of_the_world_can_be_mistaken() -> None:
    assert all(likely_mistakes(value, SCENE) for value in VALUES)
