"""Editing methods: each plans a patch for a model and leaves the model as it was."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from mmedit_build.errors import UserError, shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from editors.base import Editor

EDITORS = {
    "calinet": "editors.calinet:CaliNET",
    "ft": "editors.ft:FT",
    "ft-l": "editors.ft:FTL",
    "ft-vision": "editors.ft:FTVision",
    "ike": "editors.ike:IKE",
    "ke": "editors.ke:KE",
    "kn": "editors.kn:KN",
    "memit": "editors.memit:MEMIT",
    "mend": "editors.mend:MEND",
    "oracle": "editors.oracle:Oracle",
    "rome": "editors.rome:ROME",
    "serac": "editors.serac:SERAC",
    "serac-image": "editors.serac:SERACImage",
    "t-patcher": "editors.tpatcher:TPatcher",
}
"""Name to class, imported when it is needed. A new editor is one file, one line here and one row in tests;
`python -m editors.listed` adds it to lists."""


def editor_class(name: str) -> type[Editor]:
    """The class of an editor."""
    if name not in EDITORS:
        raise UserError(f"There is no editor '{name}'{_hint(name, EDITORS)} Editors: {', '.join(EDITORS)}.")
    module, _, attribute = EDITORS[name].partition(":")
    return cast("type[Editor]", getattr(importlib.import_module(module), attribute))


def parts_of(name: str) -> Mapping[str, str]:
    """Of an editor that can be told which part of a model to edit, its option `part` for each; else none."""
    parts: Mapping[str, str] = getattr(editor_class(name), "parts", {})
    return parts


def load_editor(name: str, options: Mapping[str, object] | None = None) -> Editor:
    """An editor with its default configuration but for the options given."""
    # Imported here, as pydantic takes longer to load than the rest of a command that only lists names.
    from pydantic import ValidationError

    found = editor_class(name)
    try:
        config = found.Config.model_validate(dict(options or {}))
    except ValidationError as error:
        raise UserError(_complaint(name, found, error.errors()[0])) from error
    return found(config)


def _complaint(name: str, found: type[Editor], detail: ErrorDetails) -> str:
    option = shortened(".".join(str(part) for part in detail["loc"]))
    known = found.Config.model_fields
    if detail["type"] == "extra_forbidden":
        return f"Editor '{name}' has no option '{option}'{_hint(option, known)} Options: {', '.join(known)}."
    where = f"Option '{option}' of editor" if option else "The options of editor"
    return f"{where} '{name}' cannot be {shortened(repr(detail['input']))}: {detail['msg']}."


def _hint(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else "."
