"""What a user did wrong, told in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import TextIOWrapper

EXIT_CODE = 2
STOPPED = 130
"""The exit code of what a user stopped with Ctrl-C, as shells have it."""
LONGEST = 300
"""Letters of what others wrote that one of our sentences quotes."""
LONGEST_SENTENCE = 1500
"""Letters of a sentence; where several methods failed for reasons of their own there are several."""

NEAR = 0.65
"""How alike names are, from 0 to 1, that may be mistaken: with one wrong letter of three, not two of five."""


class UserError(Exception):
    """A mistake of the user: one sentence with the remedy, which the commands print without a traceback."""


def first_line(error: Exception) -> str:
    """What a library's error says first, as part of a sentence of ours."""
    return shortened(str(error).strip().partition("\n")[0]).rstrip(".:")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that who wrote another one may have meant, if any is that near; case does not count."""
    by_letters = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_letters, n=1, cutoff=NEAR)
    return by_letters[near[0]] if near else None


def hint(name: str, known: Iterable[str]) -> str:
    """How a sentence goes on that there is no such name."""
    near = nearest(name, known)
    return "." if near is None else f"; did you mean '{near}'?"


def check_name(kind: str, name: str, valid: Iterable[str], listing: str = "") -> None:
    """Refuse a name that there is not, telling one that is near to it, and all that there are.

    Where they are many, `listing` is the command that shows them instead.
    """
    known = list(valid)
    if name not in known:
        near = nearest(name, known)
        told = f"`{listing}` shows what there is" if listing else f"there are: {', '.join(known) or 'none'}"
        if near is not None:
            told = f"did you mean '{near}'? {told[0].upper()}{told[1:]}"
        raise UserError(f"There is no {kind} '{name}'; {told}.")


def shortened(text: str, longest: int = LONGEST) -> str:
    """Words of others as part of a sentence of ours: on one line, and cut in the middle if there are many."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest // 2]} ... {line[-longest // 2 :]}"


def sentence(error: UserError) -> str:
    """What the commands print: one line, whatever names of files and the like are in it."""
    return shortened(str(error), LONGEST_SENTENCE)


@contextmanager
def resumable() -> Iterator[None]:
    """Tells who stops the work inside with Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. The same command goes on where it stopped.\n")
        sys.exit(STOPPED)


def run_app(app: Callable[[], object]) -> None:
    """Run a command line; a UserError becomes its sentence on stderr and exit code 2, a bug stays a bug."""
    # Threads of torch that wait for each other shall sleep: where others use the cores too, waiting awake
    # makes small models ten times slower. It has to stand before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, TextIOWrapper):
        # As stderr does by default: a letter that a pipe's encoding lacks shall not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"Error: {sentence(error)}\n")
        sys.exit(EXIT_CODE)
