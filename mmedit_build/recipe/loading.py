"""From the name of a bundled recipe, or a YAML file, to a recipe."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mmedit_build.errors import UserError, nearest, shortened
from mmedit_build.recipe import Recipe
from mmedit_build.strict_yaml import parse, read_file

MINIATURE = "miniature"
EXTENDS = "extends"
"""The key by which a recipe names another, of which it says only what is different."""
SHOWN = 3
"""How many mistakes of a recipe one sentence tells."""


def bundled() -> list[str]:
    """Names of the recipes that come with mmedit."""
    names = (Path(item.name) for item in files("recipes").iterdir())
    return sorted(name.stem for name in names if name.suffix == ".yaml")


def load_recipe(name: str = MINIATURE) -> Recipe:
    """A bundled recipe by its name, or one of the user's by its path."""
    content = _read(name)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        mistakes = [_mistake(one) for one in error.errors()]
        more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise UserError(f"The recipe {name} has mistakes: {'; '.join(mistakes[:SHOWN])}{more}.") from error


def schema_of_files() -> dict[str, Any]:
    """The JSON schema of a recipe as it is written: what another one says need not be said again."""
    schema = Recipe.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
    about = "The recipe, bundled or a file beside this one, that says whatever this one does not."
    schema["properties"] = {EXTENDS: {"type": "string", "description": about}, **schema["properties"]}
    return schema


def merged(below: Any, above: Any) -> Any:
    """Sections key by key, the upper one's values where both have some; lists, and sections of another
    `kind`, are replaced as a whole."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    if "kind" in above and above["kind"] != below.get("kind"):
        return above
    return below | {key: merged(below.get(key), value) for key, value in above.items()}


def _read(name: str, extended_by: tuple[str, ...] = ()) -> Any:
    """What a recipe says, over what that says which it extends."""
    content = _own(name)
    if not isinstance(content, dict) or EXTENDS not in content:
        return content
    below, seen = content.pop(EXTENDS), (*extended_by, name)
    if not isinstance(below, str):
        raise UserError(f"The recipe {name} extends {below!r}; name one recipe or one YAML file there.")
    if below not in bundled():
        # As seen from the file, wherever the command runs; under one name, however it is reached.
        below = os.path.normpath(Path(name).parent / below)
    if below in seen:
        raise UserError(f"The recipes {' and '.join(seen)} extend each other; leave `{EXTENDS}` out of one.")
    return merged(_read(below, seen), content)


def _own(name: str) -> Any:
    if name in bundled():
        return parse((files("recipes") / f"{name}.yaml").read_text(encoding="utf-8"), f"the recipe {name}")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") and not os.path.exists(name):  # noqa: PTH110
        near = nearest(name, bundled())
        meant = f" Did you mean {near}?" if near else ""
        raise UserError(
            f"There is no bundled recipe {name!r}; give one of {', '.join(bundled())}, or a YAML file.{meant}"
        )
    return read_file(path, f"the recipe {name}")


def _mistake(error: ErrorDetails) -> str:
    place = [str(step) for step in error["loc"]]
    where = shortened(".".join(place)) or "the whole file"
    if error["type"] == "extra_forbidden":
        return f"{where} is not a key of a recipe{_nearest(place)}"
    if error["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def _nearest(place: list[str]) -> str:
    """Of the keys that recipes know elsewhere, the most similar one."""
    known = {field for section in _sections(Recipe) for field in section.model_fields} - {place[-1]}
    near = nearest(place[-1], known)
    return f" (did you mean {near}?)" if near else ""


def _sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [kind for field in model.model_fields.values() for kind in _models_in(field.annotation)]
    return [model, *(section for kind in inner for section in _sections(kind))]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _models_in(part)]
