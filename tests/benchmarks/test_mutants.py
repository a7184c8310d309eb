"""Bugs of one line."""

from __future__ import annotations

import ast

import pytest

from benchmarks.mutants import mutants

SOURCE = '''"""A file."""

LIMIT = 3


def mean(values: list[float], seed: int = 0) -> float:
    """Of some values: 1 + 1."""
    if len(values) > 2 and not seed:
        raise ValueError(f"{len(values) - 1} too many")
    total = sum(values)
    return total / len(values)
'''


def test_bugs_are_of_one_line_and_of_every_kind() -> None:
    found = mutants("a.py", SOURCE)
    lines = SOURCE.splitlines()
    for mutant in found:
        changed = mutant.applied(SOURCE).splitlines()
        assert [number for number, line in enumerate(lines, 1) if line != changed[number - 1]] == [
            mutant.line
        ]
        ast.parse("\n".join(changed))
    # Docstrings, defaults, messages of errors and what stands outside of functions are left as they are.
    assert {mutant.line for mutant in found} == {8, 11}
    told = {(mutant.kind, mutant.after.strip()) for mutant in found}
    assert {
        ("inverted", "if len(values) <= 2 and not seed:"),
        ("strictness", "if len(values) >= 2 and not seed:"),
        ("off by one", "if len(values) > 3 and not seed:"),
        ("logic", "if len(values) > 2 or not seed:"),
        ("logic", "if len(values) > 2 and seed:"),
        ("seed", "if len(values) > 2 and not 0:"),
        ("sign", "return total * len(values)"),
        ("swapped operands", "return (len(values)) / (total)"),
        ("dropped term", "return total"),
    } <= told


@pytest.mark.parametrize(
    ("line", "kind", "bug"),
    [
        ("return x.mean(dim=0)", "aggregation", "return x.sum(dim=0)"),
        ("return x.detach()", "detach or clone", "return x"),
        ("return [*reversed(x)]", "order", "return [*list(x)]"),
        ('return load("train")', "wrong one", 'return load("test")'),
        ("return draw(x, config.seed)", "seed", "return draw(x, 0)"),
        ('return draw(f"{config.seed}/é")', "seed", 'return draw(f"0/é")'),
        ('return "é", -x', "sign", 'return "é", x'),
        ("x.append(1)", "left out", "pass"),
        ("return a.train, a.b", "wrong one", "return a.validation, a.b"),
        ("return kl(before, x)", "swapped operands", "return kl(x, before)"),
    ],
)
def test_bugs_are_what_people_write(line: str, kind: str, bug: str) -> None:
    found = mutants("a.py", f"def f(x):\n    {line}\n")
    assert (kind, f"    {bug}") in {(mutant.kind, mutant.after) for mutant in found}
