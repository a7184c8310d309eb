"""The parts of the stage `attach`: asking the base model as much as is needed, and finding what lies near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmedit_build.build import Build, kept, left_out_of, rows_of
from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.services.encoders import Encoders
from mmedit_build.stages.attach import Probing
from mmedit_build.stages.blind import SUFFIX, blind_questions, keeps_off
from mmedit_build.stages.borders import Borders
from mmedit_build.stages.neighbors import Pool, Space, add_neighbors, candidates
from mmedit_build.stages.rounds import drawn, first_round, next_round
from mmedit_build.summary import summarize

Settings = Mapping[str, Any]


def probe_pools(
    build: Build, edits: Sequence[EditRow], pools: Sequence[LocalityItem], settings: Settings
) -> list[LocalityItem]:
    """What the base model answers right of the pools, of as many of them as the edits need."""
    recipe, config = build.recipe, build.recipe.attach
    stage = Probing(config, recipe.base, build.work)
    asked = first_round(len(edits), pools, config)
    while True:
        part = drawn(pools, asked, recipe.seed)
        outcomes = build.run("probe", stage, part, LocalityItem, settings, config.shard_rows)
        right = list(kept(outcomes))
        more = next_round(asked, right, edits, pools, config, recipe.seed)
        if more == asked:
            summarize("probe", outcomes.tally).write(build.work.stage("probe"))
            return right
        asked = more


def blind_rows(build: Build, edits: Sequence[EditRow], known: Sequence[EditRow]) -> list[LocalityItem]:
    """The questions that the base model is asked without their images; none if the recipe wants none."""
    if not build.recipe.attach.no_image:
        return []
    return blind_questions(edits, [*known, *missed(build)])


def add_blind(
    build: Build, edits: Sequence[EditRow], known: Sequence[EditRow], settings: Settings
) -> list[EditRow]:
    """The edits with their own questions without the image, as far as these can be had."""
    rows = blind_rows(build, edits, known)
    if not rows:
        return list(edits)
    recipe = build.recipe
    stage = Probing(recipe.attach, recipe.base, build.work)
    outcomes = build.run("blind", stage, rows, LocalityItem, settings, recipe.attach.shard_rows)
    summarize("blind", outcomes.tally).write(build.work.stage("blind"))
    said = {item.id.removesuffix(SUFFIX): item for item in kept(outcomes)}
    return [_with_blind(edit, said.get(edit.id)) for edit in edits]


def _with_blind(edit: EditRow, item: LocalityItem | None) -> EditRow:
    if item is None or edit.locality is None or not keeps_off(edit, item):
        return edit
    return replace(edit, locality=replace(edit.locality, text=(*edit.locality.text, item)))


def add_near(
    build: Build, edits: Sequence[EditRow], borders: Borders, known: Sequence[EditRow]
) -> list[EditRow]:
    """The edits with their neighbors, and with how near all items lie, if the recipe says how to tell."""
    recipe, config = build.recipe, build.recipe.attach.neighbors
    if config is None or not edits:
        return list(edits)
    right = candidates(known, edits, recipe.seed, config.candidates)
    wrong = candidates(missed(build), edits, recipe.seed, config.candidates)
    items = [item for edit in edits if (of := edit.locality) for item in (*of.text, *of.image)]
    rows: list[EditRow | LocalityItem] = [*edits, *right, *wrong, *items]
    texts = {row.question for row in rows}
    images = {row.image for row in rows if row.image is not None}
    encoders = Encoders(config, build.work, build.work.stage("attach") / "vectors")
    with build.progress("embed", len(texts) + len(images)) as advance:
        space = Space(encoders.texts(texts, advance), encoders.images(images, advance))
    return add_neighbors(
        edits, Pool(right, borders, space), Pool(wrong, borders, space), space, recipe.attach
    )


def missed(build: Build) -> list[EditRow]:
    """All that mining found the base model to answer wrong, edits and what is left over."""
    return [*rows_of(build.work, "mine"), *left_out_of(build.work, "mine")]
