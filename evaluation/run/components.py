"""The component study: methods on one part of a model after the other, as in Figure 7 of MMEdit's paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editors import editor_class, known_editors, parts_of
from evaluation.run.experiment import PARTS, Method, Part
from mmedit_build.errors import UserError

ON = " on "
"""Between a method and its part, in the names of runs."""


def by_part(methods: Mapping[str, Method], parts: Sequence[Part]) -> tuple[dict[str, Method], list[str]]:
    """A method for each one and each part, and the names of those that cannot be told which part to edit."""
    made: dict[str, Method] = {}
    left_out: list[str] = []
    for name, method in methods.items():
        options = parts_of(method.editor_class(name))
        left_out += [] if options else [name]
        for part in parts if options else ():
            changed = {"editor": method.editor or name, "options": {**method.options, "part": options[part]}}
            made[f"{name}{ON}{part}"] = method.model_copy(update=changed)
    if not made:
        able = ", ".join(name for name in known_editors() if parts_of(editor_class(name)))
        raise UserError(
            f"{', '.join(methods)} cannot be told which part of a model to edit: leave --part out, or give "
            f"methods that can, which are {able}."
        )
    return made, left_out


def method_and_part(name: str) -> tuple[str, Part] | None:
    """What a run of the study is of; None for other runs."""
    method, _, on = name.rpartition(ON)
    found = [part for part in PARTS if method and part == on]
    return (method, found[0]) if found else None
