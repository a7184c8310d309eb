"""Runs a reader over damaged inputs: it accepts each of them or refuses it in one sentence, soon."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from mmedit_build.errors import UserError, sentence
from tests.fuzz.limits import limited

LONGEST_SENTENCE = 1000
"""Letters of a sentence; the folder of the input, and what is the same letter over and over, count little."""
_REPEATED = re.compile(r"(.)\1+")
SHOWN = 400
"""Bytes of a damaged file that a finding shows."""
SEED_FOLDER = "input"
Expected = Literal["either", "accepted", "refused"]


class LeakError(Exception):
    """What a reader gave away that it must not."""


@dataclass(frozen=True, slots=True)
class Case:
    """One damage."""

    name: str
    change: Callable[[Path], object]
    """Does it, in a folder that holds a whole input."""
    expected: Expected = "either"


@dataclass(frozen=True, slots=True)
class Reader:
    """A function that the commands read with."""

    seed: Path
    """A folder with a whole input."""
    read: Callable[[Path], object]
    """Reads the input in a folder; a row that it rejects is raised as a UserError with the reason."""
    picked: Sequence[Case]
    """Damage that is always tried."""
    draw: Callable[[random.Random, Path], str]
    """Damages the input in a folder at random, and says how."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What must not be."""

    case: str
    what: str
    place: str
    kept: Path
    """The damaged input."""


@dataclass(slots=True)
class Score:
    """What came of the cases."""

    accepted: int = 0
    refused: int = 0
    findings: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)
    """By what and where: a hundred inputs that meet the same fault are one fault."""

    def add(self, found: Finding) -> None:
        self.findings.setdefault((found.what, found.place), []).append(found)

    def told(self, seed: str) -> str:
        """All findings, with what repeats them."""
        lines = [f"{len(self.findings)} faults with MMEDIT_FUZZ_SEED={seed}:"]
        for (what, place), found in self.findings.items():
            first = found[0]
            lines.append(f"- {what} at {place}; {len(found)} inputs, the first: {first.case}")
            lines.append(f"  kept in {first.kept}{_shown(first.kept)}")
        return "\n".join(lines)


def fuzz(reader: Reader, scratch: Path, *, seed: str, seconds: float, most: int) -> Score:
    """Try all picked cases, then drawn ones until the time is over, or as many as `most`."""
    score = Score()
    end = time.monotonic() + seconds
    for case in _always(reader):
        _try(reader, case, scratch, score)
    for case in itertools.islice(_drawn(reader, seed), most):
        if time.monotonic() > end:
            break
        _try(reader, case, scratch, score)
    return score


def _always(reader: Reader) -> Iterator[Case]:
    yield Case("nothing is damaged", lambda _: None, "accepted")
    yield from reader.picked


def _drawn(reader: Reader, seed: str) -> Iterator[Case]:
    """Each with its own random numbers, so that it is the same however many come before it."""
    for number in itertools.count():
        yield Case(f"random {number}", partial(reader.draw, random.Random(f"{seed}/{number}")))


def _try(reader: Reader, case: Case, scratch: Path, score: Score) -> None:
    folder = scratch / SEED_FOLDER
    shutil.copytree(reader.seed, folder, symlinks=True)
    said = case.change(folder)
    name = f"{case.name}: {said}" if isinstance(said, str) else case.name
    found = _judged(reader, case, folder, score)
    if found is None:
        shutil.rmtree(folder)
        return
    kept = scratch / f"kept-{sum(map(len, score.findings.values()))}"
    folder.rename(kept)
    score.add(Finding(name, *found, kept))


def _judged(reader: Reader, case: Case, folder: Path, score: Score) -> tuple[str, str] | None:
    """What is wrong with the outcome, and where it came about."""
    try:
        with limited():
            reader.read(folder)
    except UserError as error:
        score.refused += 1
        if case.expected == "accepted":
            return f"refused: {sentence(error)}", _place(error)
        wrong = _wrong_sentence(_REPEATED.sub(r"\1", str(error).replace(str(folder), "INPUT")))
        return None if wrong is None else (wrong, _place(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return _in_short(error), _place(error)
    score.accepted += 1
    return ("accepted what must be refused", case.name) if case.expected == "refused" else None


def _wrong_sentence(told: str) -> str | None:
    if not told.strip():
        return "an empty sentence"
    return "a sentence too long to read" if len(told) > LONGEST_SENTENCE else None


def _in_short(error: BaseException) -> str:
    return type(error).__name__ if not isinstance(error, LeakError) else f"LeakError: {error}"


def _place(error: BaseException) -> str:
    """The innermost line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame for frame in frames if "site-packages" not in frame.filename and "/tests/" not in frame.filename
    ]
    kept = [
        one
        for one in ours
        if any(f"/{name}/" in one.filename for name in ("mmedit_build", "editors", "evaluation"))
    ]
    frame = (kept or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


def _shown(folder: Path) -> str:
    """The file that was written last, which is the damaged one, as far as it can be shown."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    newest = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
    if newest is None:
        return ""
    return f"; {newest.relative_to(folder)} begins {newest.read_bytes()[:SHOWN]!r}"
