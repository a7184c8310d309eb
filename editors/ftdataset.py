"""FT on a dataset: one fine-tuning on all edits that are judged, which are all judged under that one patch.

The rows "FT" of MMEdit's Table 2 (arXiv 2310.08475, appendix A) are this and nothing else: the last layer of
the language model or the Q-Former, by ASGD at 1e-5, for 20,000 and 40,000 steps of one edit each. FT on edits
one by one, as VLKEB runs it, is `editors.ft`. Whatever number of edits at once is asked for, these are all.

Differences: dropout is off, so that runs repeat. Not published, and ours: the order of edits, drawn anew each
time that all were seen, and that of ASGD the weights themselves count and not their mean.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from editors.ft import FT, FTConfig
from editors.patches.overlays import take
from editors.portions import CHUNK, portions
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import Count


class FTDatasetConfig(FTConfig):
    """Numbers for small models; those published are in the module's text."""

    part: str = "layer.-1"
    """What is tuned, as in FT; MMEdit's other row tunes the Q-Former, `qformer.*` or `connector`."""
    optimizer: Literal["adam", "adamw", "asgd"] = "asgd"
    """As in FT."""
    lr: float = Field(default=3e-2, ge=0)
    """Learning rate."""
    steps: Count = 1000
    """The most steps that are taken."""
    batch_size: Count = 4
    """Edits that a step is of."""
    weight_decay: float = Field(default=0.0, ge=0)
    """As the optimizer takes it."""
    seed: int = 0
    """Decides about the order of edits."""


class FTDataset(FT):
    """Fine-tuning of a named part on all edits together."""

    Config = FTDatasetConfig
    config: FTDatasetConfig
    touches = "last layer, or part named"
    whole: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, str]] = {
        "vision": "vision",
        "connector": "connector",
        "language": FTDatasetConfig().part,
    }

    def begins(self, mllm: MLLM) -> int | None:  # noqa: ARG002
        """All edits are planned by one patch."""
        return None

    def batches(
        self, mllm: MLLM, queries: Sequence[Query], layer: int
    ) -> Iterator[tuple[Sequence[Query], Sequence[range]]]:
        """A few edits for each step, all of them before any comes again."""
        rng, size = random.Random(f"{self.config.seed}/order"), self.config.batch_size
        lengths = [row.length for row in mllm.rows(queries)]
        while True:
            order = rng.sample(range(len(queries)), len(queries))
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                together = portions(mllm, [lengths[one] for one in chosen], layer, CHUNK)
                yield take(queries, chosen), list(together)
