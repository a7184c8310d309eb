"""DualEdit: VisEdit with a second adaptor for the words of the prompt, and with a gate for the whole query.

Shi et al., "DualEdit: Dual Editing for Knowledge Updating in Vision-Language Models" (COLM 2025, arXiv
2506.13638). After one layer the words behind the image attend to what leaves it when the model is told the
edit, after a later one the image's positions do; neither adaptor has a gate of its own. A query is left alone
unless the end of its prompt is like that of the edit's.

In the published code that comparison looks at the last token of the answer that is scored, and so at the
answer; at the same place of the edit's signal stands the edit's own. Free answers have no such token when the
gate decides. Here both sides are the ends of prompts, and the threshold, 0.8 as published, is tuned on edits
held out: between rephrases and what shall stay, the edits of others included.

Published is one edit, which the next one replaces. Here a patch keeps all, and of several the one counts
whose prompt's end is most like the query's; edits that come one after the other are those made at once.

Differences: words of questions without an image are moved in training too, where their answers shall stay;
likelihoods and divergences are means over queries of those over tokens (published: over tokens); the best of
the checkpoints is kept.

Published numbers: words after layer 16 of BLIP-2 OPT and of LLaVA-1.5, images after layer 19; middle 1024,
heads 8, lr 1e-4, batches of 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from editors.adaptors.base import AdaptorEditor
from editors.adaptors.config import AdaptorConfig
from editors.adaptors.patch import What
from editors.base import TrainEdit
from editors.learning.parting import parting
from editors.patches.layers import leaving
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query


class DualEditConfig(AdaptorConfig):
    """Where the adaptors are, and when they act."""

    text_layer: int = -3
    """The decoder layer after which words are moved; negative ones count from the end."""
    image_layer: int = -2
    """The decoder layer after which positions of images are moved, not the last one."""
    threshold: float | None = Field(default=None, ge=-1, le=1)
    """How much alike (cosine) the ends of a query's and of an edit's prompt have to be, after the lower one
    of the layers. Left out, it is tuned on the edits held out; with -1 the adaptors always act."""


class DualEdit(AdaptorEditor):
    """Adaptors for images and words."""

    Config: ClassVar[type[AdaptorConfig]] = DualEditConfig
    touches: ClassVar[str] = "image and text, two layers"
    config: DualEditConfig

    def places(self, mllm: MLLM) -> Sequence[tuple[int, What, int | None]]:
        text, image = (mllm.layer_index(one) for one in (self.config.text_layer, self.config.image_layer))
        if mllm.n_layers - 1 in (text, image):
            raise UserError(
                f"Nothing is looked at after layer {mllm.n_layers - 1}, the last one: give layers before it."
            )
        return [(text, "text", None), (image, "image", None)]

    def tuned(self, mllm: MLLM, validation: Sequence[TrainEdit]) -> float:
        if self.config.threshold is not None:
            return self.config.threshold
        layer = min(layer for layer, _, _ in self.places(mllm))
        edits = _ends(mllm, [one.edit.query for one in validation], layer)
        inside, outside = [], []
        for number, one in enumerate(validation):
            rephrases = [query for query in (one.text_rephrase, one.image_rephrase) if query is not None]
            kept = [*one.text_locality, *one.image_locality]
            asked = _ends(mllm, [*(rephrases or [one.edit.query]), *kept], layer)
            alike = F.cosine_similarity(asked, edits[number], dim=-1)
            others = torch.cat([edits[:number], edits[number + 1 :]])
            inside.append(alike[: len(asked) - len(kept)])
            outside += [alike[len(asked) - len(kept) :], F.cosine_similarity(others, edits[number], dim=-1)]
        return parting(torch.cat(inside), torch.cat(outside))


def _ends(mllm: MLLM, queries: Sequence[Query], layer: int) -> Tensor:
    """What leaves a layer at the ends of prompts (queries, width)."""
    rows = mllm.rows(queries)
    found = leaving(mllm, queries, (layer,))
    return torch.stack([one[row.prompt_length - 1] for (one,), row in zip(found, rows, strict=True)])
