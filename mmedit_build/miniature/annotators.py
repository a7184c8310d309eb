"""Ten simulated people who answer a question: mostly alike, at times in other words, at times wrongly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmedit_build.miniature.world import CORNERS, KINDS, Scene

ANNOTATORS = 10
AGREEMENTS = (10, 9, 8, 7, 6, 5, 4)
AGREEMENT_WEIGHTS = (45, 22, 16, 12, 3, 1, 1)
"""How often so many of the ten give the right answer in its usual words, in percent."""
TYPO_PROBABILITY = 0.06
SYNONYM_PROBABILITY = 0.55
"""How often who deviates only mistypes, or else says the right thing in other words. The rest is wrong."""
CONFIDENCES = ("yes", "maybe", "no")
CONFIDENCE_WEIGHTS = {True: (86, 12, 2), False: (50, 36, 14)}
"""How sure annotators are who are right, and who are wrong."""
SHORTEST_MISTYPED = 4

SYNONYMS: dict[str, tuple[str, ...]] = {
    "purple": ("violet",),
    "pink": ("light red", "rose"),
    "red": ("dark red",),
    "blue": ("dark blue",),
    "car": ("automobile", "toy car"),
    "cup": ("mug", "teacup"),
    "boat": ("sailboat", "ship"),
    "house": ("home", "building"),
    "cat": ("kitty", "kitten"),
    "ball": ("beach ball", "toy ball"),
    "fish": ("goldfish",),
    "big": ("large", "huge"),
    "small": ("little", "tiny"),
    "top left": ("upper left", "top left corner"),
    "top right": ("upper right", "top right corner"),
    "bottom left": ("lower left", "bottom left corner"),
    "bottom right": ("lower right", "bottom right corner"),
    "grass": ("lawn", "field", "meadow"),
    "sand": ("beach", "desert"),
    "water": ("ocean", "sea"),
    "snow": ("ice",),
    "night sky": ("night", "sky", "stars"),
    "0": ("zero", "none"),
    "1": ("one",),
    "2": ("two",),
    "3": ("three",),
    "4": ("four",),
}
MIX_UPS: dict[str, tuple[str, ...]] = {
    "yes": ("no",),
    "no": ("yes",),
    "big": ("small", "medium"),
    "small": ("big", "medium"),
    "red": ("orange", "pink"),
    "orange": ("red", "yellow"),
    "yellow": ("orange", "gold"),
    "green": ("blue", "yellow"),
    "blue": ("purple", "green"),
    "purple": ("blue", "pink"),
    "pink": ("red", "purple"),
    "white": ("gray", "silver"),
    "apple": ("tomato", "cherry"),
    "banana": ("lemon", "moon"),
    "ball": ("balloon", "orange"),
    "car": ("truck", "bus"),
    "boat": ("raft", "surfboard"),
    "house": ("barn", "shed"),
    "tree": ("bush", "plant"),
    "cat": ("dog", "fox"),
    "fish": ("whale", "shark"),
    "cup": ("bowl", "pot"),
    "key": ("spoon", "ring"),
    "star": ("flower", "leaf"),
    "grass": ("hill", "leaves"),
    "sand": ("dirt", "wall"),
    "water": ("sky", "pool"),
    "snow": ("clouds", "fog"),
    "night sky": ("space", "water"),
}
"""What is taken for what: neighboring colors, look-alikes, the other of two."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator wrote, and how sure he or she was: yes, maybe or no."""

    answer: str
    confidence: str


def annotate(
    answer: str,
    scene: Scene,
    rng: random.Random,
    *,
    alternatives: Sequence[str] = (),
    mistakes: Sequence[str] = (),
) -> list[Annotation]:
    """What the ten say when `answer` is right; it is always the most common of their answers.

    `alternatives` are further right answers; `mistakes` are likely wrong ones, and found from the answer and
    the scene where none are given.
    """
    right = tuple(dict.fromkeys((*alternatives, *SYNONYMS.get(answer, ()))))
    wrong = tuple(word for word in mistakes or likely_mistakes(answer, scene) if word not in (answer, *right))
    agreeing = rng.choices(AGREEMENTS, AGREEMENT_WEIGHTS)[0]
    deviating = [_deviation(answer, right, wrong, rng) for _ in range(ANNOTATORS - agreeing)]
    texts = [answer] * agreeing + deviating
    while texts.count(rival := _rival(texts, answer)) >= texts.count(answer):
        texts[texts.index(rival)] = answer
    rng.shuffle(texts)
    return [Annotation(text, _confidence(text in (answer, *right), rng)) for text in texts]


def likely_mistakes(answer: str, scene: Scene) -> tuple[str, ...]:
    """Wrong answers that a careless look at the scene could give."""
    if answer.isdigit():
        return tuple(str(number) for number in (int(answer) - 1, int(answer) + 1) if number >= 0)
    if answer in CORNERS:
        row, column = answer.split()
        return tuple(corner for corner in CORNERS if (row in corner) != (column in corner))
    near = MIX_UPS.get(answer, ())
    if answer in KINDS:
        near += tuple(thing.kind for thing in scene.things)
    return near


def _deviation(answer: str, right: Sequence[str], wrong: Sequence[str], rng: random.Random) -> str:
    if len(answer) >= SHORTEST_MISTYPED and rng.random() < TYPO_PROBABILITY:
        return mistyped(answer, rng)
    if right and rng.random() < SYNONYM_PROBABILITY:
        return rng.choice(right)
    return rng.choice(wrong or ("unknown", "not sure"))


def mistyped(text: str, rng: random.Random) -> str:
    """The text with two neighboring letters swapped, or one left out; never the text itself."""
    place = rng.randrange(len(text) - 1)
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped == text or rng.choice((True, False)):
        return text[:place] + text[place + 1 :]
    return swapped


def _rival(texts: list[str], answer: str) -> str:
    """The most common text besides the answer; empty where there is none."""
    counts = Counter(text for text in texts if text != answer)
    return max(counts, key=lambda text: (counts[text], text), default="")


def _confidence(right: bool, rng: random.Random) -> str:
    return rng.choices(CONFIDENCES, CONFIDENCE_WEIGHTS[right])[0]
