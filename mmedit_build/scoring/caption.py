"""How well a caption agrees with reference captions: CIDEr-D.

CIDEr-D (Vedantam et al., 2015) weighs n-grams by how few images of a corpus have them in their references, so
a score means something only with its corpus. `Consensus` freezes the document frequencies of a whole split
and gives the numbers of the COCO evaluation code on the same words.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmedit_build.scoring.words import lowered

LONGEST = 4
"""Words of the longest n-gram."""
SIGMA = 6.0
"""Standard deviation of the penalty for another length."""

_TOKEN = re.compile(
    r"\d+(?:[.,:/]\d+)*(?:(?:-[^\W_]+)+|[a-z]+\b)?"  # 5, 1,000, 10:30, 5-year-old, 2nd
    r"|(?:[a-z]\.){2,}"  # u.s.
    r"|o'clock\b"
    r"|[^\W\d_]+(?:[-.][^\W_]+)*?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b"  # do|n't, dog|'s
    r"|can(?=not\b)|[^\W_]+(?:-[^\W_]+)*|[&$%#@+=]"
)

_NO_KEY = np.iinfo(np.int64).max
_Integers = NDArray[np.int64]
_Grams = list[dict[tuple[str, ...], float]]


def tokenize(caption: str) -> list[str]:
    """The words in lower case without punctuation.

    They are those of the Penn Treebank tokenizer, which caption scores are computed with: "dog's" and "don't"
    are two words each, "in-line" and "o'clock" are one. Unlike there, a slash parts words ("and/or", "w/"),
    abbreviations have no full stop ("St.", "Mr.", "no.") and other apostrophes are no letters ("y'all" is two
    words, "'n'" and "'80s" are n and 80s); "gonna" and "wanna" are one word each, and neither brackets
    ("-lrb-" there) nor "!!" are words. These are all that 400 awkward captions showed.
    """
    return _TOKEN.findall(lowered(caption))


@dataclass(frozen=True, slots=True)
class _Vector:
    """A caption as weighted n-grams: one mapping and one norm for each length."""

    weights: _Grams
    norms: list[float]
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """CIDEr-D with the document frequencies of one corpus.

    The n-grams of two images and more are kept as a trie in sorted arrays: the key of each is the rank of
    its first n-1 words among those of their length, and the number of its last word. What only one image
    has weighs as much as what none has, so it need not be kept: the last entry stands for both.
    """

    images: int
    vocabulary: dict[str, int]
    keys: tuple[_Integers, ...]
    frequencies: tuple[_Integers, ...]

    @classmethod
    def of(cls, references: Iterable[Sequence[str]]) -> Consensus:
        """Count in how many images each n-gram occurs, given the reference captions of each image."""
        vocabulary: dict[str, int] = {}
        numbers, owners, images = array("i"), array("i"), 0
        for images, captions in enumerate(references, 1):
            for caption in captions:
                found = [vocabulary.setdefault(token, len(vocabulary) + 1) for token in tokenize(caption)]
                numbers.extend([*found, 0])
                owners.extend([images] * (len(found) + 1))
        if not images:
            raise ValueError("consensus needs the reference captions of at least one image")
        keys, frequencies = _trie(np.array(numbers, np.int64), np.array(owners, np.int64))
        return cls(images, vocabulary, keys, frequencies)

    def cider_d(self, caption: str, references: Sequence[str]) -> float:
        """The CIDEr-D of a caption, between 0 and 10."""
        if not references:
            raise ValueError("CIDEr-D needs at least one reference caption")
        vector = self._vector(caption)
        return 10 * sum(_similarity(vector, self._vector(text)) for text in references) / len(references)

    def agreement(self, references: Sequence[str]) -> list[float]:
        """The CIDEr-D of each reference against the others; 0 if there are no others."""
        vectors = [self._vector(text) for text in references]
        others = max(len(vectors) - 1, 1)
        return [
            10 * sum(_similarity(one, other) for other in vectors if other is not one) / others
            for one in vectors
        ]

    def _vector(self, caption: str) -> _Vector:
        tokens = tokenize(caption)
        weights: _Grams = []
        for length, found in enumerate(self._frequencies(tokens), 1):
            grams = [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]
            rarity = dict(zip(grams, np.log(self.images / found[length - 1 :]).tolist(), strict=True))
            weights.append({gram: count * rarity[gram] for gram, count in Counter(grams).items()})
        norms = [math.sqrt(sum(weight * weight for weight in grams.values())) for grams in weights]
        return _Vector(weights, norms, len(tokens))

    def _frequencies(self, tokens: Sequence[str]) -> list[_Integers]:
        """For each length, the frequencies of the n-grams that end at each token."""
        numbers = np.array([self.vocabulary.get(token, 0) for token in tokens], np.int64)
        ranks, found = np.zeros(len(tokens), np.int64), []
        for keys, frequencies in zip(self.keys, self.frequencies, strict=True):
            ranks = _ranks(keys, _joined(ranks, numbers))
            found.append(frequencies[ranks])
            ranks = _shifted(ranks)
        return found


def _similarity(one: _Vector, other: _Vector) -> float:
    """Mean over the lengths of the clipped cosine, less the more the captions differ in length."""
    total = 0.0
    for hyp, ref, hyp_norm, ref_norm in zip(one.weights, other.weights, one.norms, other.norms, strict=True):
        if hyp_norm and ref_norm:
            shared = sum(min(weight, ref[gram]) * ref[gram] for gram, weight in hyp.items() if gram in ref)
            total += shared / (hyp_norm * ref_norm)
    return total / LONGEST * math.exp(-((one.length - other.length) ** 2) / (2 * SIGMA**2))


def _trie(numbers: _Integers, owners: _Integers) -> tuple[tuple[_Integers, ...], tuple[_Integers, ...]]:
    """Keys and frequencies by length, from the numbers of all tokens (0 ends a caption) and their images."""
    keys, frequencies = [], []
    ranks = np.zeros(len(numbers), np.int64)
    for _ in range(LONGEST):
        joined = _joined(ranks, numbers)
        kept, counts = _counted(joined, owners)
        keys.append(np.append(kept, _NO_KEY))
        frequencies.append(np.append(counts, 1))
        ranks = _shifted(_ranks(keys[-1], joined))
    return tuple(keys), tuple(frequencies)


def _counted(joined: _Integers, owners: _Integers) -> tuple[_Integers, _Integers]:
    """The keys that at least two images have, sorted, and how many have them."""
    known = joined >= 0
    joined, owners = joined[known], owners[known]
    order = np.lexsort((owners, joined))
    joined, owners = joined[order], owners[order]
    first = np.ones(len(joined), bool)
    first[1:] = (joined[1:] != joined[:-1]) | (owners[1:] != owners[:-1])
    keys, counts = np.unique(joined[first], return_counts=True)
    return keys[counts > 1], counts[counts > 1]


def _joined(ranks: _Integers, numbers: _Integers) -> _Integers:
    """The keys of n-grams from the ranks of their first words and the numbers of their last; -1 for none."""
    return np.where((ranks >= 0) & (numbers > 0), ranks << 32 | numbers, -1)


def _ranks(keys: _Integers, joined: _Integers) -> _Integers:
    """Where the keys are; -1 for those that are not kept."""
    places = np.searchsorted(keys, joined)
    return np.where(keys[places] == joined, places, -1)


def _shifted(ranks: _Integers) -> _Integers:
    """What ended at the token before."""
    return np.append(-1, ranks[:-1])[: len(ranks)]
