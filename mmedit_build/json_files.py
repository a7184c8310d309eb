"""JSON that somebody else wrote, read strictly: whole, in UTF-8, of bounded size and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_core import from_json

from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes

MOST_BYTES = 2 << 30
"""Of a file of JSON or of lines of it: five times the largest of VQAv2."""


def read_json(path: Path, remedy: str) -> Any:
    """The content of a file; the sentence about a broken one ends with the remedy."""
    try:
        return parse_json(read_bytes(path, MOST_BYTES))
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}); {remedy}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not whole JSON ({error}); {remedy}.") from error


def parse_json(data: bytes) -> Any:
    """The content of a text; a ValueError also for halves of letters and for more than 200 levels."""
    return from_json(data)
