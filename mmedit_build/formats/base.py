"""What a format is: the keys that its rows have, and how a row is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from mmedit_build.errors import UserError, shortened
from mmedit_build.formats.rows import ReleasedRow

SHOWN = 60
"""Letters of a wrong value that a sentence has."""
_WANTED = {
    "string_type": "a text",
    "list_type": "a list",
    "model_type": "an object",
    "dict_type": "an object",
}


class Keys(BaseModel):
    """Keys that are known. Others may stand beside them: they are kept, and nobody looks at them."""

    model_config = ConfigDict(strict=True, frozen=True)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of released files."""

    title: str
    marks: frozenset[str]
    """Keys by which its rows are known."""
    read: Callable[[Mapping[str, Any]], ReleasedRow]
    """Reads an object; a ValidationError if it is none of the format."""
    example: Mapping[str, Any]
    """A row with all that is read of one."""

    @property
    def shown(self) -> str:
        """A file as it should be, for sentences about those that are not."""
        return f"{self.title}: [{json.dumps(self.example)}]"

    def row(self, source: object, where: str) -> ReleasedRow:
        """The row of an object, or a sentence about the place that says what is wrong."""
        if not isinstance(source, dict):
            raise UserError(f"{where} is not an object; give a file in the format of {self.shown}.")
        try:
            return self.read(source)
        except ValidationError as error:
            raise UserError(f"{where} {_told(error.errors())}, as in the format of {self.shown}.") from error


def _told(errors: list[ErrorDetails]) -> str:
    lacking = [_key(error) for error in errors if error["type"] == "missing"]
    if lacking:
        return f"lacks {', '.join(dict.fromkeys(lacking))}; give it"
    error = errors[0]
    wanted = _WANTED.get(error["type"])
    if wanted is None:
        return f"has a wrong {_key(error)} ({error['msg'].removeprefix('Value error, ')}); correct it"
    return f"has {shortened(repr(error['input']), SHOWN)} as {_key(error)}; make it {wanted}"


def _key(error: ErrorDetails) -> str:
    """Where in a row: numbers of lists count from 1, as those of rows do."""
    steps = (str(step + 1) if isinstance(step, int) else step for step in error["loc"])
    return shortened(".".join(steps))
