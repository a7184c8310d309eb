"""What other packages add to ours: classes by name, which they declare as entry points.

A package that has

    [project.entry-points."mmedit.editors"]
    my-method = "my_package.mine:MyEditor"

in its pyproject.toml adds an editor wherever it is installed. Only what somebody installed is found so: no
recipe, experiment or result names code.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from mmedit_build.errors import UserError, shortened


@cache
def added(group: str) -> Mapping[str, str]:
    """By name, the places (`package.module:Class`) that installed packages declare for `mmedit.GROUP`."""
    found: dict[str, str] = {}
    for point in entry_points(group=f"mmedit.{group}"):
        if found.setdefault(point.name, point.value) != point.value:
            raise UserError(
                f"Two installed packages add '{point.name}' to mmedit.{group}, as {found[point.name]} and as "
                f"{point.value}; uninstall one of them."
            )
    return found


def with_added(group: str, ours: Mapping[str, str]) -> dict[str, str]:
    """Ours and what is added, which cannot take the place of ours."""
    theirs = added(group)
    for name in ours.keys() & theirs.keys():
        raise UserError(
            f"An installed package adds '{name}' to mmedit.{group} as {theirs[name]}, but mmedit has one of "
            "this name; uninstall that package, or have it choose another name."
        )
    return {**ours, **theirs}


def load(place: str) -> type:
    """The class at a place; a UserError if it is not there, as with a package that is older than its word."""
    module, _, attribute = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise UserError(f"{place} cannot be imported: {shortened(str(error))}.") from error
    if not isinstance(found, type):
        raise UserError(f"The module {module} has no class '{attribute}'.")
    return found
