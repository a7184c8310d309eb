"""Recipes shown, begun and described for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.errors import UserError
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import bundled, load_recipe
from mmedit_build.sources.looking import missing_paths


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["recipe", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", bundled())
@pytest.mark.parametrize("whole", [(), ("--whole",)])
def test_what_is_shown_is_the_recipe_itself(name: str, whole: tuple[str, ...]) -> None:
    shown: Any = yaml.safe_load(run("show", name, *whole))
    assert Recipe.model_validate(shown) == load_recipe(name)
    assert "extends" not in shown


def test_a_recipe_that_is_begun_is_one(tmp_path: Path) -> None:
    file = tmp_path / "My model.yaml"
    run("new", str(file), "--model", "org/my-vl")
    begun, below = load_recipe(str(file)), load_recipe("mmedit-blip2-opt-verified")
    assert begun.name == "my-model"
    assert begun.base.model == "org/my-vl"
    assert begun.mine == below.mine
    with pytest.raises(UserError, match="is there already"):
        run("new", str(file), "--model", "org/other")


def test_one_that_would_be_none_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no bundled recipe 'no-such'"):
        run("new", str(tmp_path / "a.yaml"), "--model", "m", "--extends", "no-such")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_knows_every_key_and_wants_none() -> None:
    schema = json.loads(run("schema"))
    assert set(schema["properties"]) == {"extends", *Recipe.model_fields}
    assert "required" not in json.dumps(schema)
    mining = schema["$defs"]["MineStage"]
    assert mining["additionalProperties"] is False
    assert mining["properties"]["confirm"]["description"].startswith("Ask for each failure again")


def test_data_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = run("new", "mine.yaml", "--model", "org/my-vl")
    assert "Its data is not here yet: data/vqa/v2_OpenEnded_mscoco_val2014_questions.json, " in told
    assert told.endswith("\nmmedit-build run mine.yaml --dry-run\n")
    for name in missing_paths(load_recipe("mine.yaml")):
        (tmp_path / name).mkdir(parents=True)
    assert "not here" not in run("new", "other.yaml", "--model", "org/my-vl")
    # What a recipe draws itself is not looked for.
    assert "not here" not in run("new", "drawn.yaml", "--model", "miniature/mllm", "--extends", "miniature")
