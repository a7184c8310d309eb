"""One call of a model: its queries as rows, the batches in which these run, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from mmedit_build.mllm.batching import batches
from mmedit_build.mllm.below import Below
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.features import FeatureCache, Features
from mmedit_build.mllm.query import Query
from mmedit_build.mllm.rows import Row
from mmedit_build.mllm.sharing import alike, pays, shared_batches

SHARED_BYTES = 2**31
"""How much the keys and values of what the rows of a batch share may take, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Rows in the order of their queries."""

    family: Family
    features: Features
    cache: FeatureCache
    queries: Sequence[Query]
    rows: Sequence[Row]
    images: Sequence[str | None]
    """What is seen with each row, by a name; none in a Below, which holds it."""
    shares: bool
    """Whether rows may share what they begin with; see `sharing`."""

    def batches(self, batch_size: int, position_bytes: int) -> list[list[int]]:
        """All rows in batches, together where they begin alike and elsewhere by their lengths.

        `position_bytes` is what is kept of a position for others to attend to.
        """
        if self.shares:
            groups = alike(self.rows, self.images)
            if pays(self.rows, sum(group.spared for group in groups)):
                return list(shared_batches(self.rows, groups, batch_size, SHARED_BYTES // position_bytes))
        return list(batches([row.length for row in self.rows], batch_size))

    def ahead(self, chosen: Sequence[Sequence[int]]) -> AbstractContextManager[None]:
        """Inside, the images of these batches are opened before their turn."""
        if isinstance(self.queries, Below):
            return nullcontext()
        order = [i for batch in chosen for i in batch]
        return self.features.ahead(
            [self.queries[i] for i in order], [self.images[i] for i in order], self.cache
        )

    def alike(self, indices: Sequence[int]) -> list[str | None] | None:
        """`images` of the chosen rows, where these may share what they begin with."""
        return [self.images[i] for i in indices] if self.shares else None

    def part(self, indices: Sequence[int]) -> Below:
        """The chosen rows as far as they are known: from a Below, or embedded now."""
        if isinstance(self.queries, Below):
            return self.queries.take(indices)
        chosen, rows = tuple(self.queries[i] for i in indices), tuple(self.rows[i] for i in indices)
        views = iter(self.features.of(chosen, self.cache, [self.images[i] for i in indices]))
        seen = [None if query.image is None else next(views) for query in chosen]
        hidden = tuple(self.family.embed(rows, seen))
        return Below(0, chosen, rows, hidden, tuple(() if one is None else one.deep for one in seen))
