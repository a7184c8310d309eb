"""Each promise of docs/safety.md names tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    line
    for line in (ROOT / "docs" / "safety.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| promise", "| what is read"))
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_there_are_promises() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_is_held_by_tests_that_are_there(row: str) -> None:
    named = NAMED.findall(row)
    assert named
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text()
