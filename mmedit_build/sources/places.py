"""What the paths of a recipe mean."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.storage.addresses import is_address
from mmedit_build.storage.copies import lent
from mmedit_build.work import Work

PLACEHOLDER = "{sources}"
"""What stands for the folder of drawn sources in the paths of a recipe."""


def path_of(text: str, work: Work) -> Path:
    """What a path of a recipe means for one work folder: of an address, its copy."""
    if is_address(text):
        return lent(text)
    path = Path(text.replace(PLACEHOLDER, str(work.sources)))
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UserError(f"There is no home folder {path.parts[0]}; give {text} as a whole path.") from error
