"""How many of the pools' questions the base model has to be asked, so that there are items for all edits.

They are asked in rounds, in an order that the seed decides, text and image pools each for themselves: as many
as should do at first, and more while edits go short, up to the whole pool. They go short where an item would
have to be used twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Literal

from mmedit_build.engine.base import Rejected
from mmedit_build.recipe import AttachStage
from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.stages.attach import assign
from mmedit_build.stages.borders import order

Sort = Literal["text", "image"]
SORTS: tuple[Sort, ...] = ("text", "image")
Numbers = Mapping[Sort, int]
LEAST = 1024
"""A round asks at least so many, since each opens the model anew."""
SPARE = 1.5
"""How many times more are asked than are known to lack: some answers are wrong, and some items do not fit."""


def first_round(edits: int, pools: Sequence[LocalityItem], config: AttachStage) -> dict[Sort, int]:
    """How many questions of each sort are asked at first."""
    there = counted(pools)
    needed = {"text": edits * config.text_items, "image": edits * config.image_items}
    return {sort: min(there[sort], max(LEAST, ceil(SPARE * needed[sort]))) for sort in SORTS}


def next_round(
    asked: Numbers,
    right: Sequence[LocalityItem],
    edits: Sequence[EditRow],
    pools: Sequence[LocalityItem],
    config: AttachStage,
    seed: str,
) -> dict[Sort, int]:
    """How many of each sort are asked in all, next; the same as before where that will do."""
    there, kept = counted(pools), counted(right)
    found: dict[Sort, int] = {}
    for sort in SORTS:
        lacking = shortage(sort, edits, right, config, seed) if asked[sort] < there[sort] else 0
        # Of twenty at least one is taken to be right: the next round shall not be endless.
        share = max(kept[sort] / max(1, asked[sort]), 0.05)
        more = max(LEAST, ceil(SPARE * lacking / share), asked[sort] // 2) if lacking else 0
        found[sort] = min(there[sort], asked[sort] + more)
    return found


def shortage(
    sort: Sort, edits: Sequence[EditRow], right: Sequence[LocalityItem], config: AttachStage, seed: str
) -> int:
    """How many more items of a sort there would have to be for none to be used twice."""
    other: Sort = "image" if sort == "text" else "text"
    alone = config.model_copy(update={other: (), "same_image": 0, "same_question": 0})
    dealt = assign(edits, [item for item in right if sort_of(item) == sort], [], alone, seed)
    served = [one.locality for one in dealt if not isinstance(one, Rejected)]
    used = {item.id for one in served if one for item in (one.text if sort == "text" else one.image)}
    return len(edits) * (config.text_items if sort == "text" else config.image_items) - len(used)


def drawn(pools: Sequence[LocalityItem], asked: Numbers, seed: str) -> list[LocalityItem]:
    """So many of each sort as the seed draws them, in the order of the pools."""
    chosen: set[str] = set()
    for sort in SORTS:
        of_sort = [item.id for item in pools if sort_of(item) == sort]
        chosen.update(sorted(of_sort, key=lambda name: order(seed, name))[: asked[sort]])
    return [item for item in pools if item.id in chosen]


def counted(items: Sequence[LocalityItem]) -> dict[Sort, int]:
    """How many there are of each sort."""
    return {sort: sum(sort_of(item) == sort for item in items) for sort in SORTS}


def sort_of(item: LocalityItem) -> Sort:
    return "text" if item.image is None else "image"
