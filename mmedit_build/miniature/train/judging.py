"""What the chat model learns to judge by our own prompt: whether two questions ask for the same."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from mmedit_build.miniature.grammar import FORMS, SYMMETRIC, Meaning, parse, same, say
from mmedit_build.miniature.train.learned import held_out
from mmedit_build.miniature.world import COLORS, CORNERS, KINDS

TURNED = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""The form that says the opposite."""
HARD = (*TURNED, "more")
"""Forms in which another order of the same words can ask for the opposite."""
SPOILED = 0.15
"""How many of the pairs that differ do so by a word that belongs to no such question."""
WORDS = sorted(
    {word for wordings in FORMS.values() for text in wordings for word in re.findall(r"\w+", text)}
)


def judged(meaning: Meaning, rng: random.Random, *, unseen: bool = False) -> tuple[str, str, bool]:
    """Two questions in either order, and whether they ask for the same: as often yes as no. The second may be
    one that is held out only where the first is."""
    asks_same = rng.random() < 0.5
    question = rng.choice(say(meaning))
    other = question
    while other == question or not _fits(other, meaning, asks_same, unseen=unseen):
        other = _again(meaning, rng) if asks_same else _nearly(meaning, rng)
    first, second = (question, other) if rng.random() < 0.5 else (other, question)
    return first, second, asks_same


def _fits(text: str, meaning: Meaning, asks_same: bool, *, unseen: bool) -> bool:
    """Whether the grammar, which has the last word, agrees, and the question may be learned from."""
    parsed = parse(text)
    return same(parsed, meaning) == asks_same and (unseen or not (parsed and held_out(parsed)))


def _again(meaning: Meaning, rng: random.Random) -> str:
    """The same question, perhaps with its two things exchanged."""
    if meaning.form in SYMMETRIC and rng.random() < 0.5:
        meaning = replace(meaning, x=meaning.y, y=meaning.x)
    return rng.choice(say(meaning))


def _nearly(meaning: Meaning, rng: random.Random) -> str:
    """Almost the same question: what most easily slips into a rephrase."""
    if rng.random() < SPOILED:
        return _spoiled(meaning, rng)
    changes: list[Callable[[Meaning, random.Random], Meaning]] = [_other_slot, _other_form, _another]
    if meaning.form in HARD:
        changes += [_turned] * 2
    return rng.choice(say(rng.choice(changes)(meaning, rng)))


def _turned(meaning: Meaning, rng: random.Random) -> Meaning:
    """The opposite, or with the roles exchanged; now and then with one thing in both of them."""
    if meaning.form in TURNED:
        return replace(meaning, form=TURNED[meaning.form])
    x = rng.choice((meaning.x, meaning.y, meaning.y))
    return replace(meaning, x=x, y=meaning.x)


def _other_form(meaning: Meaning, rng: random.Random) -> Meaning:
    """Something else asked about the same things."""
    slots = _slots(meaning.form)
    return replace(meaning, form=rng.choice([form for form in FORMS if _slots(form) == slots]))


def _another(_meaning: Meaning, rng: random.Random) -> Meaning:
    """Any question: by pairs that have little in common the model first learns what is wanted at all."""
    x, y = rng.sample(KINDS, 2)
    return Meaning(rng.choice(list(FORMS)), x, y, rng.choice(COLORS), rng.choice(CORNERS))


def _other_slot(meaning: Meaning, rng: random.Random) -> Meaning:
    """The same asked about something else."""
    slots = sorted(_slots(meaning.form))
    if not slots:
        return _another(meaning, rng)
    slot = rng.choice(slots)
    other = {
        "x": _other_thing(meaning.x or "thing", rng),
        "y": _other_thing(meaning.y or "thing", rng),
        "c": rng.choice(COLORS),
        "corner": rng.choice(CORNERS),
    }
    return replace(meaning, **{slot: other[slot]})


def _other_thing(thing: str, rng: random.Random) -> str:
    """Of another kind, of another color, or of any color."""
    *color, kind = thing.split()
    if rng.random() < 0.5:
        return " ".join([*color, rng.choice(KINDS)])
    return kind if color and rng.random() < 0.5 else f"{rng.choice(COLORS)} {kind}"


def _slots(form: str) -> frozenset[str]:
    return frozenset(name.rstrip("s") for name in re.findall(r"{(\w+)}", FORMS[form][0]))


def _spoiled(meaning: Meaning, rng: random.Random) -> str:
    """A wording with a word of any question in the place of its own."""
    said = rng.choice(say(meaning)).split()
    place = rng.randrange(len(said))
    said[place] = rng.choice((*WORDS, *KINDS, *COLORS)) + "?" * said[place].endswith("?")
    return " ".join(said)
