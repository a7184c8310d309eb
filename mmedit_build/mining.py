"""The parts of the stage `mine`: what there is to ask, and asking as much of it as is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmedit_build.build import Build, kept
from mmedit_build.choosing import sizes_of
from mmedit_build.engine.base import Rejected
from mmedit_build.engine.known import Outcomes
from mmedit_build.recipe import Endpoint, Recipe
from mmedit_build.rows import EditRow, Example
from mmedit_build.sources.reading import read_examples
from mmedit_build.stages.mine import Mining
from mmedit_build.stages.quotas import Quotas
from mmedit_build.stages.select import select, with_spare

WORTH_A_PROCESS = 4096
"""Rows of a round for each process that works on it: one that is started imports and loads all anew."""

WAVES = 40
"""How many times over a shard fills what a server may have under way: at the end of a shard it idles."""


def shard_rows(recipe: Recipe) -> int:
    """Rows that are asked together: more of a server, whose replies are kept one by one anyway."""
    base, rows = recipe.base, recipe.mine.shard_rows
    return max(rows, WAVES * base.concurrency) if isinstance(base, Endpoint) else rows


def examples_to_mine(build: Build) -> list[Example]:
    """The first questions and the first captions of the sources, as many as the build wants of each.

    All that is asked about an image stands together, so that it goes through the vision tower once.
    """
    caption = build.recipe.mine.caption
    with build.progress("reading", None) as advance:
        rows = read_examples(
            build.recipe.sources,
            build.work,
            limit=build.limit,
            caption_prompt=caption.prompt if caption else "",
            advance=advance,
        )
    wanted = [row for row in rows if row.task in sizes_of(build.recipe)]
    places: dict[str, int] = {}
    for place, row in enumerate(wanted):
        places.setdefault(row.image, place)
    return sorted(wanted, key=lambda row: places[row.image])


def quotas(build: Build, examples: list[Example]) -> Quotas:
    """What is asked of the examples, with failures to spare for the later stages."""
    recipe = build.recipe
    return Quotas(examples, with_spare(sizes_of(recipe), recipe.mine.spare), recipe.seed)


@dataclass(frozen=True, slots=True)
class Asked:
    """All that was asked, the edits among it, and the other failures."""

    outcomes: Outcomes[EditRow]
    edits: list[EditRow]
    left_out: list[Rejected[EditRow]]


def ask_until_enough(build: Build, stage: Mining, settings: Mapping[str, Any]) -> Asked:
    """Ask in rounds until there are edits enough, then for all else about their images."""
    recipe, config = build.recipe, build.recipe.mine
    tried: set[str] = set()

    def ask(rows: list[Example]) -> Outcomes[EditRow]:
        worth = max(1, (len(rows) - len(tried)) // WORTH_A_PROCESS)
        part = replace(build, most_workers=worth, tried=frozenset(tried))
        outcomes = part.run("mine", stage, rows, EditRow, settings, shard_rows(recipe))
        tried.update(row.id for row in rows)
        return outcomes

    drawn = quotas(build, examples_to_mine(build))
    asked = drawn.first()
    found = list(kept(ask(drawn.drawn(asked))))
    while (more := drawn.next(asked, found)) != asked:
        asked = more
        found = list(kept(ask(drawn.drawn(asked))))
    edits, left_out = select(found, sizes_of(recipe), recipe.seed, config.spare)
    known = {row.id for row in found}
    outcomes = ask(drawn.with_company(asked, edits))
    # Edits among these would want all about images of their own.
    company = [Rejected(row.id, "more than wanted", row) for row in kept(outcomes) if row.id not in known]
    return Asked(outcomes, edits, left_out + company)
