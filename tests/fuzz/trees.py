"""Damage to the structure of what JSON and YAML hold: values of other types, missing and doubled keys."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.damage import damage_bytes, damage_one

LONG = "a" * 5000
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400),
    *(math.nan, math.inf, -math.inf, 1e308, 5e-324),
    *("", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\n", "a\nb", "\x1b[31m", "\u202e", "\u2028", "nan"),
    *(
        "..",
        "../../outside",
        "/etc/passwd",
        "/dev/zero",
        "~",
        "~nosuchuser/x",
        "a/b",
        ".",
        "-",
        "\\",
        "C:\\x",
    ),
    *("[/]", "[red]x", "<script>alert(1)</script>", "{0} {x} %s ${x}", "\\input{/etc/passwd}", "=1+1"),
    *("é☃😀", "a" * 300, LONG, "/".join(["a" * 200] * 30), "1e999", "2001-99-99", "http://127.0.0.1:1/x"),
    *([], {}, [None], [[]], [{}], {"": ""}, {"a": None}, [1, "a", None], ["x"] * 3000),
)
"""What stands in the place of a value."""
NASTY_KEYS = ("", "\0", "\ud800", "..", "/", LONG, "__class__", "1", "a b", "kind", "é")

Place = tuple[Any, Any]
"""What holds a value, and under which key or number."""


def places(tree: Any) -> Iterator[Place]:
    """All values below the top."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in steps:
        yield tree, key
        yield from places(value)


def damaged(tree: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy with one to three things done to it, and what was done."""
    tree = copy.deepcopy(tree)
    said = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        there = list(places(tree))
        if not there:
            break
        holder, key = rng.choice(there)
        kind = rng.choice(("value", "value", "value", "remove", "double", "key", "swap", "wrap"))
        said.append(f"{kind} {key!r:.40}{_done(kind, holder, key, there, rng)}")
    return tree, ", ".join(said)


def _done(kind: str, holder: Any, key: Any, there: Sequence[Place], rng: random.Random) -> str:
    value = holder[key]
    if kind == "remove":
        del holder[key]
    elif kind == "double" and isinstance(holder, list):
        holder.insert(key, value)
    elif kind == "key" and isinstance(holder, dict):
        holder[rng.choice(NASTY_KEYS)] = holder.pop(key)
    elif kind == "swap":
        other, place = rng.choice(there)
        holder[key] = copy.deepcopy(other[place])
    elif kind == "wrap":
        holder[key] = rng.choice(([value], {"x": value}, [[[value]]]))
    else:
        holder[key] = rng.choice(NASTY)
        return f" = {holder[key]!r:.60}"
    return ""


def written(tree: Any) -> bytes:
    """As JSON, with the numbers and letters that JSON should not have."""
    return json.dumps(tree, indent=1).encode()


def edited(name: str, edit: Callable[[Any], object]) -> Callable[[Path], None]:
    """Changes what a file of JSON holds."""

    def change(folder: Path) -> None:
        tree = json.loads((folder / name).read_bytes())
        edit(tree)
        (folder / name).write_bytes(written(tree))

    return change


def edited_lines(name: str, edit: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    """Changes what a file of JSON lines holds."""

    def change(folder: Path) -> None:
        rows = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
        edit(rows)
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    return change


def doubled_key(data: bytes, rng: random.Random) -> bytes:
    """Some line of indented JSON with a key twice."""
    lines = data.splitlines()
    keys = [number for number, line in enumerate(lines) if b'": ' in line and line.rstrip().endswith(b",")]
    if keys:
        number = rng.choice(keys)
        lines.insert(number, lines[number])
    return b"\n".join(lines)


def damage_json(folder: Path, names: Sequence[str], rng: random.Random) -> str:
    """Damage one of some files of JSON: mostly what it holds, sometimes its bytes."""
    kind = rng.random()
    if kind < 0.2:
        return damage_one(folder, names, rng)
    name = rng.choice(names)
    data = (folder / name).read_bytes()
    if kind < 0.25:
        (folder / name).write_bytes(doubled_key(written(json.loads(data)), rng))
        return f"{name}: a key stands twice"
    tree, said = damaged(json.loads(data), rng)
    (folder / name).write_bytes(written(tree))
    return f"{name}: {said}"


def damage_lines(folder: Path, name: str, rng: random.Random) -> str:
    """Damage one line of a file of JSON lines, or the bytes of it all."""
    lines = (folder / name).read_bytes().splitlines()
    number = rng.randrange(len(lines))
    if rng.random() < 0.2:
        lines[number], said = damage_bytes(lines[number], rng)
    else:
        tree, said = damaged(json.loads(lines[number]), rng)
        lines[number] = json.dumps(tree).encode()
    (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))
    return f"{name}, line {number + 1}: {said}"
