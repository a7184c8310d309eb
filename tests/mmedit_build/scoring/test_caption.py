"""CIDEr-D against numbers measured with pycocoevalcap 1.2, and words that are new or missing."""

from __future__ import annotations

import math
import pickle

import pytest

from mmedit_build.scoring.caption import Consensus, tokenize

REFERENCES = [
    ["A red cat sits on a mat.", "The cat is sitting on a red mat.", "A cat on a mat."],
    ["Two dogs run in the park.", "Two brown dogs are running in a park."],
    [
        "A man rides a wave on a surfboard.",
        "A surfer on a wave.",
        "A man surfing in the ocean.",
        "Man on a surfboard riding a big wave.",
    ],
    ["A plate of food on a table.", "The dog's bowl is on a table."],
    ["A cat and a dog on a red sofa."],
]
CAPTIONS = [
    ("A red cat sits on the mat.", 3.4178032917902907),
    ("A dog runs on a wave.", 0.0),
    ("a man on a man on a man on a man on a man on a wave", 0.16524314788383482),
    ("food", 0.37817404845214647),
    ("A cat and a dog on a red sofa.", 10.0),
]
"""One for each image, with its CIDEr-D."""


@pytest.fixture(scope="module")
def consensus() -> Consensus:
    return Consensus.of(REFERENCES)


@pytest.mark.parametrize(("caption", "score"), CAPTIONS)
def test_scores_of_the_published_evaluation(consensus: Consensus, caption: str, score: float) -> None:
    references = REFERENCES[[text for text, _ in CAPTIONS].index(caption)]
    assert consensus.cider_d(caption, references) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(
    ("image", "scores"),
    [
        (0, [2.3354034443891045, 1.5560425208622972, 2.2650315448439757]),
        (1, [1.499952628251941, 1.499952628251941]),
        (2, [1.6486685032242299, 0.6776983092427709, 0.5619943766686113, 1.271367667965351]),
        (4, [0.0]),
    ],
)
def test_each_reference_is_scored_against_the_others(
    consensus: Consensus, image: int, scores: list[float]
) -> None:
    assert consensus.agreement(REFERENCES[image]) == pytest.approx(scores, abs=1e-12)


def test_a_score_by_hand() -> None:
    """Two images: "cat" is in one (weight ln 2), "a" in both (weight 0); the bigram "a cat" is in one."""
    consensus = Consensus.of([["a cat"], ["a dog"]])
    assert consensus.cider_d("a cat", ["a cat"]) == pytest.approx(10 * 2 / 4)
    # One bigram less: e^(-1/72) is the penalty, and only the words agree.
    assert consensus.cider_d("cat", ["a cat"]) == pytest.approx(10 * math.exp(-1 / 72) / 4)
    # Said twice: the weight is clipped to the reference's, the norm is not.
    assert consensus.cider_d("cat cat", ["a cat"]) == pytest.approx(10 * 0.5 / 4)


def test_a_score_means_something_only_in_its_corpus() -> None:
    assert Consensus.of([["a red cat"]]).cider_d("a red cat", ["a red cat"]) == 0
    assert Consensus.of([["a red cat"], ["dogs"]]).cider_d("a red cat", ["a red cat"]) == pytest.approx(7.5)


def test_words_that_the_corpus_lacks_are_the_rarest(consensus: Consensus) -> None:
    assert consensus.cider_d("zebra cat", ["zebra"]) > consensus.cider_d("zebra cat", ["cat"])


def test_an_image_counts_once_however_often_its_references_say_a_word() -> None:
    often = Consensus.of([["cat cat", "cat"], ["cat"], ["dog"]])
    once = Consensus.of([["cat"], ["cat"], ["dog"]])
    assert often.cider_d("cat dog", ["cat dog"]) == once.cider_d("cat dog", ["cat dog"])


def test_ngrams_do_not_cross_captions() -> None:
    apart = Consensus.of([["red", "cat"], ["red", "cat"], ["dog"]])
    assert [len(found) for found in apart.frequencies] == [3, 1, 1, 1]


def test_only_what_two_images_have_is_kept() -> None:
    consensus = Consensus.of([["a red cat sits"], ["a red cat runs"], ["a dog"]])
    # The last entry of each length stands for all others.
    assert [found.tolist() for found in consensus.frequencies] == [[3, 2, 2, 1], [2, 2, 1], [2, 1], [1]]


def test_the_corpus_travels_to_workers(consensus: Consensus) -> None:
    copy = pickle.loads(pickle.dumps(consensus))
    assert [copy.cider_d(text, REFERENCES[0]) for text, _ in CAPTIONS] == [
        consensus.cider_d(text, REFERENCES[0]) for text, _ in CAPTIONS
    ]


def test_captions_without_words(consensus: Consensus) -> None:
    assert consensus.cider_d("", REFERENCES[0]) == 0
    assert consensus.cider_d("...", ["", "!"]) == 0
    assert consensus.agreement([]) == []


def test_what_cannot_be_scored(consensus: Consensus) -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        consensus.cider_d("a cat", [])
    with pytest.raises(ValueError, match="at least one image"):
        Consensus.of([])


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A Red cat, sitting.", "a red cat sitting"),
        ("The dog's bowl isn't  full!\n", "the dog 's bowl is n't full"),
        ("It can't; they cannot", "it ca n't they can not"),
        ("a black-and-white photo -- in the 1990s", "a black-and-white photo in the 1990s"),
        ("at 10:30 with 1,000 balloons (red)", "at 10:30 with 1,000 balloons red"),
        ('a sign saying "stop" & go', "a sign saying stop & go"),
        ("made in the U.S.", "made in the u.s."),
        ("5-year-old's 2nd cake", "5-year-old 's 2nd cake"),
        ("five o'clock and 5 O\u2019Clock", "five o'clock and 5 o'clock"),
        ("and/or y'all w/ St. Mr. (no. 5) '80s 'n' gonna!!", "and or y all w st mr no 5 80s n gonna"),
        ("a café", "a café"),
        ("", ""),
    ],
)
def test_tokens(caption: str, tokens: str) -> None:
    assert tokenize(caption) == tokens.split()
