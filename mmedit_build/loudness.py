"""How much the commands say: -q and -v, which stand before the name of a command or after it.

Results are on stdout however quiet a command is, and mistakes on stderr. In between are progress and what is
logged: with -q nothing is said of either, with -v all that is logged is said, in plain lines and without
bars, which lines would cross. Log files are the same in all cases.
"""

from __future__ import annotations

import inspect
import logging
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from mmedit_build.errors import UserError
from mmedit_build.mistakes import Command, Group

LOGGERS = ("mmedit_build", "editors", "evaluation")
"""Whose words are ours."""
Function = TypeVar("Function", bound=Callable[..., Any])


class _Chosen:
    """What the command line asked for; from Python, neither."""

    quiet = False
    verbose = False


def is_quiet() -> bool:
    """Whether nobody shall hear how far the work is."""
    return _Chosen.quiet


def is_verbose() -> bool:
    """Whether all that is logged is said."""
    return _Chosen.verbose


def _be_quiet(wanted: bool) -> None:  # typer gives it so
    if wanted:
        _check_one(_Chosen.verbose)
        _Chosen.quiet = True
        warnings.simplefilter("ignore")


def _be_verbose(wanted: bool) -> None:
    if wanted and not _Chosen.verbose:
        _check_one(_Chosen.quiet)
        _Chosen.verbose = True
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        for name in LOGGERS:
            logging.getLogger(name).addHandler(handler)
            logging.getLogger(name).setLevel(logging.INFO)


def _check_one(other: bool) -> None:
    if other:
        raise UserError("Give -q to hear less, or -v to hear more, but not both.")


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say results and mistakes alone.", callback=_be_quiet, expose_value=False
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say all that is logged.", callback=_be_verbose, expose_value=False),
]


class App(typer.Typer):
    """A command line whose commands all have both options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, **settings)

    def command(self, *arguments: Any, **settings: Any) -> Callable[[Function], Function]:
        return _with_both(super().command(*arguments, cls=Command, **settings))

    def callback(self, *arguments: Any, **settings: Any) -> Callable[[Function], Function]:
        return _with_both(super().callback(*arguments, **settings))


def _with_both(add: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Adds a function that has the options besides its own; who reads it sees the function as it was."""

    def added(function: Function) -> Function:
        @wraps(function)
        def called(**values: Any) -> Any:
            return function(**{name: of for name, of in values.items() if name in own.parameters})

        own = inspect.signature(function, eval_str=True)
        both = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=of)
            for name, of in (("quiet", Quiet), ("verbose", Verbose))
        ]
        called.__signature__ = own.replace(parameters=[*own.parameters.values(), *both])  # type: ignore[attr-defined]
        add(called)
        return function

    return added
