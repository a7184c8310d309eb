from __future__ import annotations

import random

import pytest

from mmedit_build import digests
from mmedit_build.digests import Digests


def test_it_is_a_set_of_whatever_came_however_often_it_is_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_FRESH", 5)
    rng, known, found = random.Random(0), set(), Digests()
    for _ in range(600):
        thing = (str(rng.randrange(200)), rng.choice([None, "a", ("b",)]))
        assert (thing in found) == (thing in known)
        assert found.add(thing) == (thing not in known)
        known.add(thing)
        assert thing in found
    assert len(found) == len(known) > 300


def test_it_is_made_of_many_at_once() -> None:
    assert len(Digests("abca")) == 3
    assert "a" in Digests("abca")
    assert "a" not in Digests()
