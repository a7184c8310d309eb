"""Every recipe of the repository loads, and every field of a recipe is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from editors import load_editor
from evaluation.run.experiment import make_experiment
from mmedit_build.prompts import chat_messages
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.recipe.sources import Added
from mmedit_build.services.images.inversions import check_tokens
from mmedit_build.stages.imagine import check_template

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


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_words_and_prompts_of_a_recipe_are_there(path: Path) -> None:
    recipe = load_recipe(str(path))
    check_tokens(recipe.imagine)
    check_template(recipe.imagine)
    assert chat_messages(recipe.rephrase.prompt, question="Is it day?")


def test_the_recipe_of_the_paper_is_the_paper_s() -> None:
    """Its sections 3.2.1 to 3.2.3, its table of sizes and its Figure 4."""
    paper, fitting = load_recipe("mmedit-blip2-opt"), load_recipe("mmedit-blip2-opt-sd1")
    assert paper.mine.vqa is not None
    assert paper.mine.caption is not None
    sizes = [(one.sizes.train, one.sizes.test) for one in (paper.mine.vqa, paper.mine.caption)]
    assert sizes == [(6346, 2093), (2849, 1000)]
    (asked,) = chat_messages(paper.rephrase.prompt, question="Is it day?")
    assert asked["content"].startswith("Please rewrite the following question in a different way. ")
    assert paper.imagine.strategy == fitting.imagine.strategy == "text-to-image"
    assert paper.imagine.positive == fitting.imagine.positive == "{caption}, masterpiece, best quality"
    assert paper.imagine.negative == "EasyNegative, disfigured"
    assert fitting.imagine.negative == "easynegative, disfigured"
    assert [one.token for one in fitting.imagine.inversions] == ["easynegative"]
    verified = load_recipe("mmedit-blip2-opt-verified")
    assert verified.imagine.strategy == "image-to-image"
    assert verified.imagine.quiz
    assert verified.imagine.resemblance
    assert verified.imagine.negative is None


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
    # What an added source may hold is for its class to say, which refuses the rest.
    assert section.model_config["extra"] == ("allow" if issubclass(section, Added) else "forbid")
