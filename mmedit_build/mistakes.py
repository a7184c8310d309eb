"""Commands and options that there are not, are lacking or have a wrong value, told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup

from mmedit_build.errors import UserError, nearest, shortened

OF_SHELLS = ("--install-completion", "--show-completion")
"""Nobody who mistypes means these."""


class Command(TyperCommand):
    """One whose mistakes are told so."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _told(ctx):
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The same of one that has commands of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _told(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        with _told(ctx):
            return super().resolve_command(ctx, args)


@contextmanager
def _told(context: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The classes of these errors are private to the library; no other ones have these.
        if hasattr(error, "param_type") and (lacking := getattr(error, "param", None)) is not None:
            raise UserError(_missing(context, lacking)) from error
        if hasattr(error, "option_name") and hasattr(error, "possibilities"):
            raise UserError(_sentence(context, str(error.option_name))) from error
        # A command that is told nothing shows its help, which comes as an error as well.
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
            raise
        raise UserError(_misused(context, error.format_message())) from error


def _missing(context: Any, parameter: Any) -> str:
    first = parameter.opts[0]
    name = first if first.startswith("-") else parameter.metavar or first.upper()
    path = context.command_path
    return f"{path} needs {name}; `{path} --help` tells what that is."


def _sentence(context: Any, given: str) -> str:
    own = {name for one in context.command.params for name in one.opts if name not in OF_SHELLS}
    near = nearest(given, own)
    meant = f"; did you mean {near}?" if near else "."
    path = context.command_path
    return f"{path} has no option {shortened(given)}{meant} `{path} --help` shows those that it has."


def _misused(context: Any, reason: str) -> str:
    """Of all else: a wrong value, one too many, a command that there is not."""
    path = context.command_path
    told = shortened(reason)
    end = "" if told.endswith((".", "?")) else "."
    return f"{path}: {told}{end} `{path} --help` shows what there is."
