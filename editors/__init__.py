"""Editing methods: each plans a patch for a model and leaves the model as it was."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from editors.families import METHOD_FAMILIES
from mmedit_build.errors import UserError, check_name, hint, shortened
from mmedit_build.plugins import load, with_added

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from editors.base import Editor

EDITORS = {
    "alphaedit": "editors.alphaedit:AlphaEdit",
    "calinet": "editors.calinet:CaliNET",
    "dualedit": "editors.dualedit:DualEdit",
    "ft": "editors.ft:FT",
    "ft-dataset": "editors.ftdataset:FTDataset",
    "ft-l": "editors.ft:FTL",
    "ft-vision": "editors.ft:FTVision",
    "grace": "editors.grace:GRACE",
    "ike": "editors.ike:IKE",
    "ke": "editors.ke:KE",
    "kn": "editors.kn:KN",
    "liveedit": "editors.liveedit:LiveEdit",
    "lora": "editors.lora:LoRA",
    "m-ore": "editors.more:MORE",
    "memit": "editors.memit:MEMIT",
    "mend": "editors.mend:MEND",
    "oracle": "editors.oracle:Oracle",
    "remember": "editors.remember:Remember",
    "rome": "editors.rome:ROME",
    "scopeedit": "editors.more:ScopeEdit",
    "serac": "editors.serac:SERAC",
    "serac-image": "editors.serac:SERACImage",
    "t-patcher": "editors.tpatcher:TPatcher",
    "ultraedit": "editors.ultraedit:UltraEdit",
    "visedit": "editors.visedit:VisEdit",
    "wise": "editors.wise:WISE",
}
"""Name to class, imported when it is needed. A new editor is one file, one line here and one row in tests;
`python -m editors.listed` adds it to lists."""

LISTING = "mmedit-eval list"
"""The command that shows them all."""
REQUIRED = ("Config", "family", "touches", "batch", "plan")
"""What every editor's class has; see `editors.base.Editor`."""


def known_editors() -> dict[str, str]:
    """All editors by name: ours, and those that installed packages add (see `mmedit_build.plugins`)."""
    return with_added("editors", EDITORS)


def editor_class(name: str) -> type[Editor]:
    """The class of an editor."""
    known = known_editors()
    check_name("editor", name, known, LISTING)
    return _editor(known[name], load(known[name]))


def parts_of(editor: type[Editor]) -> Mapping[str, str]:
    """Of an editor that can be told which part of a model to edit, its option `part` for each; else none."""
    parts: Mapping[str, str] = getattr(editor, "parts", {})
    return parts


def makes_all(editor: type[Editor]) -> bool:
    """Whether one patch of an editor makes all edits that are judged; see `editors.base.Whole`."""
    return bool(getattr(editor, "whole", False))


def load_editor(name: str, options: Mapping[str, object] | None = None) -> Editor:
    """An editor with its default configuration but for the options given."""
    return make_editor(name, editor_class(name), options)


def own_class(place: str) -> type[Editor]:
    """The class of an editor that is no one's package, by `package.module:Class`.

    That module's code is run, so the place has to be the user's own word: no file may name one.
    """
    name, _, attribute = place.partition(":")
    if not _is_dotted(name) or not attribute:
        raise UserError(own_hint(name) or f"'{place}' is no place of an editor; give package.module:Class.")
    found = getattr(_own_module(name), attribute, None)
    if not isinstance(found, type):
        raise UserError(f"The module {name} has no class '{attribute}'{_classes_of(name)}")
    return _editor(place, found)


def own_hint(name: str) -> str:
    """What to say of a module in the place of a method; empty if there is none where the user is."""
    parts = name.split(".")
    here = Path(*parts)
    if not _is_dotted(name) or not any(
        one.is_file() for one in (here.with_suffix(".py"), here / "__init__.py")
    ):
        return ""
    return f"'{name}' is a module, not a class in it{_classes_of(name)}"


def _classes_of(name: str) -> str:
    """The editors of a module, as the end of a sentence on a class that it lacks."""
    module = _own_module(name)
    own = [
        one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__
    ]
    editors = [one.__name__ for one in own if all(hasattr(one, needed) for needed in REQUIRED)]
    if not editors:
        return "; give module:Class of an editor, which docs/editors.md describes."
    return f"; give {' or '.join(f'{name}:{editor}' for editor in editors)}."


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _own_module(name: str) -> ModuleType:
    # Where the user is, last, as commands do not look there by themselves.
    sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"Python finds no module {error.name}; give module:Class of an editor in this folder, or put its "
            "folder into PYTHONPATH."
        ) from error
    except Exception as error:
        told = shortened(f"{type(error).__name__}: {error}").rstrip(".")
        raise UserError(f"The module {name} cannot be imported, since its own code fails: {told}.") from error
    finally:
        sys.path.pop()


def _editor(place: str, found: type) -> type[Editor]:
    """A class that has what an editor's class has."""
    missing = [one for one in REQUIRED if not hasattr(found, one)]
    if missing:
        raise UserError(
            f"{place} is no editor, as it has no {missing[0]}; docs/editors.md says what one has."
        )
    editor = cast("type[Editor]", found)
    if not hasattr(editor.Config, "model_validate"):
        raise UserError(f"{place} has a Config that is no pydantic model; docs/editors.md says what one has.")
    if editor.family not in METHOD_FAMILIES:
        raise UserError(
            f"{place} is of the family {shortened(repr(editor.family))}; there are "
            f"{', '.join(METHOD_FAMILIES)}."
        )
    return editor


def make_editor(name: str, found: type[Editor], options: Mapping[str, object] | None = None) -> Editor:
    """An editor of a class with its default configuration but for the options given."""
    # Imported here, as pydantic takes longer to load than the rest of a command that only lists names.
    from pydantic import ValidationError

    try:
        config = found.Config.model_validate(dict(options or {}))
    except ValidationError as error:
        raise UserError(_complaint(name, found, error.errors()[0])) from error
    return found(config)


def _complaint(name: str, found: type[Editor], detail: ErrorDetails) -> str:
    option = shortened(".".join(str(part) for part in detail["loc"]))
    known = found.Config.model_fields
    if detail["type"] == "extra_forbidden":
        return f"Editor '{name}' has no option '{option}'{hint(option, known)} Options: {', '.join(known)}."
    where = f"Option '{option}' of editor" if option else "The options of editor"
    return f"{where} '{name}' cannot be {shortened(repr(detail['input']))}: {detail['msg']}."
