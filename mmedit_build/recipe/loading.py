"""From the name of a bundled recipe, or a YAML file, to a recipe."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mmedit_build.errors import UserError
from mmedit_build.recipe import Recipe

MINIATURE = "miniature"
SHOWN = 3
"""How many mistakes of a recipe one sentence tells."""


def bundled() -> list[str]:
    """Names of the recipes that come with mmedit."""
    names = (Path(item.name) for item in files("recipes").iterdir())
    return sorted(name.stem for name in names if name.suffix == ".yaml")


def load_recipe(name: str = MINIATURE) -> Recipe:
    """A bundled recipe by its name, or one of the user's by its path."""
    content = _parse(_read(name), name)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        mistakes = [_mistake(one) for one in error.errors()]
        more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise UserError(f"The recipe {name} has mistakes: {'; '.join(mistakes[:SHOWN])}{more}.") from error


def _read(name: str) -> str:
    if name in bundled():
        return (files("recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") and not os.path.exists(name):  # noqa: PTH110
        near = get_close_matches(name, bundled(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"There is no bundled recipe {name!r}; give one of {', '.join(bundled())}, or a YAML file.{hint}"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the recipe {name} ({error}); give a YAML file in UTF-8.") from error


def _parse(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Strict)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"The recipe {name} is not YAML ({reason}); correct it there.") from error


class _Strict(yaml.SafeLoader):
    """As the safe loader, but a key may stand only once in its section."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, times in Counter(keys).items():
            if times > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"{key} stands {times} times in the section that begins in line {line}")
        return super().construct_mapping(node, deep)


def _mistake(error: ErrorDetails) -> str:
    place = [str(step) for step in error["loc"]]
    where = ".".join(place) or "the whole file"
    if error["type"] == "extra_forbidden":
        return f"{where} is not a key of a recipe{_nearest(place)}"
    if error["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {error['msg']}"


def _nearest(place: list[str]) -> str:
    """Of the keys that recipes know elsewhere, the most similar one."""
    known = {field for section in _sections(Recipe) for field in section.model_fields} - {place[-1]}
    near = get_close_matches(place[-1], known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [kind for field in model.model_fields.values() for kind in _models_in(field.annotation)]
    return [model, *(section for kind in inner for section in _sections(kind))]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _models_in(part)]
