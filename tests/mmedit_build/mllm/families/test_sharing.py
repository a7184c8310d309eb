"""What rows begin with alike runs once, and gives what rows that run whole give."""

from __future__ import annotations

import pytest
import torch

from mmedit_build.mllm import Query, sharing
from tests.mmedit_build.mllm.families.conftest import Specimens, shown
from tests.mmedit_build.mllm.families.test_exact import CLOSE, every_family

NEW_TOKENS = 3
ALONE = {"paligemma", "paligemma2", "instructblip", "aya_vision"}
"""Families that share nothing: prompts attend to all of each other, images are seen through them, or nobody
has looked."""
TOLD = "who wrote the book in front of the house? Answer: the small cat. "


@pytest.fixture(scope="module")
def alike() -> list[Query]:
    """Questions about two pictures, one of them asked in two forms, and texts of which two begin alike."""
    wide, tall = shown(1, 48, 16), shown(2, 20, 44)
    return [
        Query(wide, "what color is the cat?", "red"),
        Query(tall, "how many boats are on the water in front of the house?", "two trees"),
        Query(None, TOLD + "a", "tree"),
        Query(wide, "what color is the water?", "red house"),
        Query(wide, "a photo of", "house", form="plain"),
        Query(tall, "a", "boat"),
        Query(None, "a", "tree"),
        Query(None, TOLD + "who wrote it?", "the house"),
        Query(wide, "", "the cat"),
    ]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares whatever can be, however little."""
    monkeypatch.setattr(sharing, "LEAST_SAVED", 1)
    monkeypatch.setattr(sharing, "LEAST_SHARE", 10**6)


@pytest.mark.usefixtures("eager")
@every_family
def test_shared_beginnings_change_nothing_but_the_work(
    specimens: Specimens, alike: list[Query], name: str
) -> None:
    mllm = specimens(name).mllm
    one_by_one = [mllm.score([query], positions="all")[0].logits for query in alike]
    for found, expected in zip(mllm.score(alike, positions="all"), one_by_one, strict=True):
        torch.testing.assert_close(found.logits, expected, rtol=0, atol=CLOSE)
    targets = mllm.score(alike, batch_size=5)
    for scored, query in zip(targets, alike, strict=True):
        (alone,) = mllm.score([query])
        torch.testing.assert_close(scored.logits, alone.logits, rtol=0, atol=CLOSE)
    texts = [mllm.generate([query], max_new_tokens=NEW_TOKENS)[0] for query in alike]
    assert mllm.generate(alike, max_new_tokens=NEW_TOKENS) == texts
    below = mllm.below(alike, 1, for_generation=True)
    for found, expected in zip(mllm.score(below, positions="all"), one_by_one, strict=True):
        torch.testing.assert_close(found.logits, expected, rtol=0, atol=CLOSE)
    assert mllm.generate(below, max_new_tokens=NEW_TOKENS, batch_size=4) == texts


@pytest.mark.usefixtures("eager")
@every_family
def test_who_shares(specimens: Specimens, alike: list[Query], name: str) -> None:
    mllm, pictures = specimens(name).mllm, [query for query in alike if query.image is not None]
    before = mllm.counts.layers
    mllm.score(pictures)
    # Shared, they run in two parts, of which there are more.
    assert (mllm.counts.layers - before > len(pictures) * mllm.n_layers) is (name not in ALONE)
