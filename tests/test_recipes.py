"""Every recipe of the repository loads, and every field of a recipe is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from editors import load_editor
from evaluation.run.experiment import make_experiment
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import load_recipe

FOLDER = Path(__file__).parent.parent / "recipes"
EXPERIMENTS = sorted((FOLDER / "experiments").rglob("*.yaml"))
RECIPES = sorted(set(FOLDER.rglob("*.yaml")) - set(EXPERIMENTS))


def sections(model: Any) -> set[type[BaseModel]]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        fields = [field.annotation for field in model.model_fields.values()]
        return {model}.union(*map(sections, fields))
    return set[type[BaseModel]]().union(*map(sections, get_args(model)))


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_begins_with_its_command(path: Path) -> None:
    recipe = load_recipe(str(path))
    assert recipe.name == path.stem
    assert path.read_text().splitlines()[0] == f"# mmedit-build run {path.stem}"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_loads_and_so_do_the_options_of_its_methods(path: Path) -> None:
    assert path.read_text().startswith("# mmedit-eval ")
    experiment = make_experiment(path, {})
    assert experiment.methods
    for name, method in experiment.methods.items():
        load_editor(method.editor or name, method.options)


@pytest.mark.parametrize("section", sorted(sections(Recipe), key=str), ids=lambda section: section.__name__)
def test_every_field_is_documented(section: type[BaseModel]) -> None:
    bare = [name for name, field in section.model_fields.items() if name != "kind" and not field.description]
    assert bare == []
    assert section.model_config["extra"] == "forbid"
