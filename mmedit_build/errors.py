"""What a user did wrong, told in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable

EXIT_CODE = 2


class UserError(Exception):
    """A mistake of the user: one sentence with the remedy, which the commands print without a traceback."""


def run_app(app: Callable[[], object]) -> None:
    """Run a command line; a UserError becomes its sentence on stderr and exit code 2, a bug stays a bug."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(EXIT_CODE)
