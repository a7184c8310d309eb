"""What captions say, by captions as people and models write them."""

from __future__ import annotations

from math import inf

import pytest

from mmedit_build.scoring.statements import read
from mmedit_build.scoring.statements.things import Thing


def _number(thing: Thing) -> str:
    if not thing.counted:
        return ""
    most = "+" if thing.most == inf else "" if thing.most == thing.least else f"-{thing.most}"
    return f"{thing.least}{most} "


def _in_short(thing: Thing) -> str:
    values = sorted(value for quality in thing.qualities for value in quality.values)
    return f"{_number(thing)}{' '.join([*values, thing.name])}"


@pytest.mark.parametrize(
    ("caption", "things"),
    [
        ("A big red cat and two small dogs.", ["1 big red cat", "2 small dog"]),
        ("a couple of people standing around a table", ["2 person", "1 table"]),
        ("A herd of zebras walking through the grass.", ["2+ zebra", "grass"]),
        ("a slice of pizza on a plate", ["pizza", "1 plate"]),
        ("a drawing of three apples", ["3 apple"]),
        ("a black and white photo of a bench", ["1 bench"]),
        ("a red, white and blue kite flying in the sky", ["1 blue red white kite", "sky"]),
        ("an orange on a table", ["1 orange", "1 table"]),
        ("an orange cat", ["1 orange cat"]),
        ("The cat is gray", ["1 gray cat"]),
        ("a star in the top left corner of the picture", ["1 left top star"]),
        ("a hot dog with mustard", ["1 hot_dog", "sauce"]),
        ("a parked car and a sleeping dog", ["1 car", "1 dog"]),
        ("A man rides a horse", ["1 man", "1 horse"]),
        ("Two zebra stand near bushes", ["2 zebra", "bush"]),
        ("a cat on a snowy day", ["1 cat", "snow"]),
        ("a four way stop sign without a pole", ["1 stop_sign"]),
        ("a man's hand holding a cell phone", ["hand", "1 cellphone"]),
        ("a dog and a ball, the dog is brown", ["1 brown dog", "1 ball"]),
        ("a woman smiling for the camera", ["1 woman"]),
        ("people watch as he catches the frisbee in the air", ["2+ person", "1 frisbee"]),
        ("there is a trampoline that is very big", ["1 big trampoline"]),
        ("", []),
        ("...", []),
    ],
)
def test_things(caption: str, things: list[str]) -> None:
    assert [_in_short(thing) for thing in read(caption).things] == things


@pytest.mark.parametrize(
    ("caption", "relations"),
    [
        ("a cat to the left of a dog", [("side", "cat", "dog")]),
        ("a dog on the right side of a cat", [("side", "cat", "dog")]),
        ("a cup on top of a table", [("height", "cup", "table")]),
        ("a dog under the table", [("height", "table", "dog")]),
        ("a man standing in front of a bus", [("depth", "man", "bus")]),
        ("a pole with a sign on it and a car", []),
        ("a cat on the left side of the picture", []),
        ("on a table", []),
    ],
)
def test_relations(caption: str, relations: list[tuple[str, str, str]]) -> None:
    said = read(caption)
    found = [(one.of, said.things[one.first].name, said.things[one.second].name) for one in said.relations]
    assert found == relations


def test_what_words_are_about() -> None:
    """Who skis has skis, whether they are named or not."""
    assert {"ski", "person"} <= read("a skier going downhill").hints
    assert "ski" in read("a man skiing").hints
    assert "bat" in read("a baseball bat").hints
