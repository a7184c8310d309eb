"""What an audit keeps of its rows is the same in memory and in files."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmedit_build.audit import keeping
from mmedit_build.audit.counting import _among
from mmedit_build.audit.dataset import Target
from mmedit_build.audit.keeping import Column, Numbers, Texts
from mmedit_build.audit.page import render
from mmedit_build.audit.report import audit_target
from mmedit_build.errors import UserError
from mmedit_build.rows import EditRow


@pytest.fixture(params=[1, 40, 1 << 20])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All goes to a file at once, some of it does, or none."""
    monkeypatch.setattr(keeping, "FEW", request.param)


@pytest.mark.usefixtures("few")
def test_what_was_kept_is_read_however_often_and_added_to() -> None:
    numbers, texts, column = Numbers(), Texts(), Column()
    assert numbers.all.tolist() == column.hashes.tolist() == []
    words = ["", "näher", "half a letter \ud800", "x" * 100, "end"]
    for place in range(30):
        numbers.add(place, -place)
        texts.add(words[place % 5])
        column.add(range(place % 4))
        assert numbers.all.tolist() == [one for n in range(place + 1) for one in (n, -n)]
        assert texts.at(range(place + 1)) == [words[n % 5] for n in range(place + 1)]
    assert (len(texts), len(column)) == (30, 30)
    assert column.hashes.tolist() == [part for n in range(30) for part in range(n % 4)]
    assert column.rows.tolist() == [n for n in range(30) for _ in range(n % 4)]


def faulty(make_clean: Any) -> list[EditRow]:
    """Rows that leak, repeat themselves and say the same, of both splits."""
    rng = random.Random(0)
    return [
        make_clean(
            f"näher {number}",
            split=rng.choice(["train", "test"]),
            image_id=str(rng.randrange(30)),
            question=rng.choice(["How many cats?", f"Is it {number}?"]),
            prediction=rng.choice(["four", "five"]),
            target=rng.choice(["two cats", "four"]),
            rephrase=rng.choice(['"Quoted?"', "How?"]),
        )
        for number in range(60)
    ]


def test_audits_are_the_same_from_files(make_clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("faulty", faulty(make_clean))
    held = audit_target(target)
    monkeypatch.setattr(keeping, "FEW", 8)
    kept = audit_target(target)
    assert kept == held
    found = kept.group("vqa", "test").finding("leaked_images")
    assert found.count == len(found.ids) > 3
    assert (kept.to_json(), render(target, kept)) == (held.to_json(), render(target, held))


def test_a_place_that_takes_no_files_is_told(
    make_clean: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "FEW", 8)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(UserError, match="name another folder in TMPDIR"):
        audit_target(Target("faulty", faulty(make_clean)))


def test_what_is_among_others_is_what_numpy_says() -> None:
    rng = np.random.default_rng(0)
    for sizes in ((0, 0), (5, 0), (0, 5), (50, 3), (20, 200)):
        some, others = (rng.integers(-9, 9, size) for size in sizes)
        assert _among(some, others).tolist() == np.isin(some, others).tolist()
