"""Building from Python: what `mmedit-build run` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmedit_build.build import Build, stages_of
from mmedit_build.console import log_to, progress
from mmedit_build.engine.base import Engine
from mmedit_build.engine.local import HERE
from mmedit_build.places import place
from mmedit_build.preflight import check_ready
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.steps import STEPS, Release
from mmedit_build.storage.session import session
from mmedit_build.summary import Summary
from mmedit_build.work import Work


def build(
    recipe: str | Recipe = "miniature",
    work: str | Path | None = None,
    *,
    engine: Engine = HERE,
    limit: int | None = None,
    retry_failed: bool = False,
) -> Release:
    """All stages of a recipe, in a work folder; what is finished stays, so a call goes on where one stopped.

    `recipe` is a bundled one by its name, a YAML file by its path, or an object. `work` may be an address in
    storage, such as s3://bucket/run. The dataset that comes out lies in the release's `folder`, of storage in
    the copy of it on this machine. `engine` has it done elsewhere: `Local(workers=2)` of `engine.local` in
    two processes, what `engine.ray.connect` gives on a cluster.
    """
    with session():
        loaded = load_recipe(recipe) if isinstance(recipe, str) else recipe
        folder = Work(place(work or Path("runs") / loaded.name))
        whole = Build(loaded, folder, progress, limit=limit, engine=engine, retry_failed=retry_failed)
        check_ready(whole, "mine")
        *_, release = run_stages(whole, (*stages_of(loaded), "publish"))
    assert isinstance(release, Release)
    return release


def run_stages(build: Build, stages: Sequence[str]) -> Iterator[Summary | Release]:
    """What each stage came to, as soon as it did; nobody else works in the folder meanwhile."""
    with build.work.locked(), log_to(build.work.log):
        for stage in stages:
            yield STEPS[stage](build)
