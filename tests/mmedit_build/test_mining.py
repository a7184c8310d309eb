"""How much is asked together when mining."""

from __future__ import annotations

from mmedit_build.mining import WAVES, shard_rows
from mmedit_build.recipe import Endpoint
from mmedit_build.recipe.loading import load_recipe


def test_a_server_is_kept_busy_through_a_shard() -> None:
    recipe = load_recipe("mmedit-served")
    assert isinstance(recipe.base, Endpoint)
    assert shard_rows(recipe) == WAVES * recipe.base.concurrency > recipe.mine.shard_rows
    few = recipe.model_copy(update={"base": recipe.base.model_copy(update={"concurrency": 1})})
    assert shard_rows(few) == recipe.mine.shard_rows


def test_a_model_in_this_process_has_shards_as_the_recipe_says() -> None:
    recipe = load_recipe()
    assert shard_rows(recipe) == recipe.mine.shard_rows
