"""What is done to files: bytes that are cut, turned and added, and things that are no files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.engine import Case, Expected
from tests.fuzz.limits import pipe

DEEP = 100_000
"""How deep brackets are nested; Python's own stack ends at a thousand."""

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "a number": b"7",
    "a text": b'"x"',
    "a list": b"[]",
    "a mapping": b"{}",
    "not a number": b"NaN",
    "a huge number": b"9" * 5000,
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep mappings": b'{"a":' * DEEP,
    "nothing but NUL": b"\0" * 100,
    "broken UTF-8": b"\xff\xfe\x80\x81",
    "half a surrogate": b'{"\\ud800": "\\udfff"}',
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "an end of line": b"\n",
    "spaces": b" " * 100_000,
    "letters": b"a" * 100_000,
}
"""What stands in the place of a whole file."""


def _nothing(path: Path) -> None:
    """There is no such file."""


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _itself(path: Path) -> None:
    path.symlink_to(path.name)


THINGS: dict[str, Callable[[Path], object]] = {
    "missing": _nothing,
    "a folder": Path.mkdir,
    "a pipe": pipe,
    "a device": _zeros,
    "a link to nothing": _nowhere,
    "a link to itself": _itself,
}
"""What stands in the place of a file that is none."""


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Puts something else in the place of a file."""

    def change(folder: Path) -> None:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return change


def content(name: str, data: bytes) -> Callable[[Path], object]:
    """Puts other bytes in the place of a file."""
    return replaced(name, lambda path: path.write_bytes(data))


def on_file(name: str, expected: Expected = "either") -> list[Case]:
    """All that is always tried on a file."""
    told = [Case(f"{name} is {what}", content(name, data), expected) for what, data in CONTENTS.items()]
    told += [Case(f"{name} is {what}", replaced(name, make), expected) for what, make in THINGS.items()]
    # The last bytes of an image may say nothing.
    return [
        *told,
        Case(f"{name} is half", _cut(name, 0.5), expected),
        Case(f"{name} lacks its end", _cut(name, 0.99)),
    ]


def _cut(name: str, share: float) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(share * len(data))])

    return change


def damage_bytes(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Bytes with one to four things done to them, and what was done."""
    said = []
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        length = rng.choice((1, 4, 50, 2000))
        kind = rng.choice(("flip", "cut", "drop", "repeat", "random", "text"))
        said.append(f"{kind} at {place}")
        data = _KINDS[kind](data, place, length, rng)
    return data, ", ".join(said)


def _flip(data: bytes, place: int, length: int, rng: random.Random) -> bytes:  # noqa: ARG001
    turned = bytes([data[place] ^ 1 << rng.randrange(8)]) if place < len(data) else b""
    return data[:place] + turned + data[place + 1 :]


_TEXTS = (
    b"\0",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\xff",
    b"\\ud800",
    b"null",
    b"[[[[",
    b'"',
    b"\n",
    b"../../",
    b"{}",
)
_KINDS: dict[str, Callable[[bytes, int, int, random.Random], bytes]] = {
    "flip": _flip,
    "cut": lambda data, place, _length, _rng: data[:place],
    "drop": lambda data, place, length, _rng: data[:place] + data[place + length :],
    "repeat": lambda data, place, length, _rng: data[: place + length] + data[place:],
    "random": lambda data, place, length, rng: data[:place] + rng.randbytes(length) + data[place + length :],
    "text": lambda data, place, _length, rng: data[:place] + rng.choice(_TEXTS) + data[place:],
}


def damage_one(folder: Path, names: Sequence[str], rng: random.Random) -> str:
    """Damage the bytes of one of some files."""
    name = rng.choice(names)
    data, said = damage_bytes((folder / name).read_bytes(), rng)
    (folder / name).write_bytes(data)
    return f"{name}: {said}"
