"""PaliGemma: image and prompt attend to all of each other, and the answer to what came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower, soft_capped
from mmedit_build.mllm.rendering import IMAGE, Template, Templates
from mmedit_build.mllm.rows import Layout, Row


class PaliGemma(Family):
    """PaliGemma 1 and 2. The whole model is called, as it and not its text trunk makes the masks."""

    trunk_path = "model"
    causal = False
    towers: Mapping[str, Tower] = {
        "vision": Tower("model.vision_tower.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("model.multi_modal_projector", ("linear",)),
    }
    question_template = "answer en {question}"

    @property
    def plain(self) -> Templates:
        begin = self.tokenizer.bos_token
        return Templates(
            Template(f"{IMAGE}{begin}", "\n", begins=False), Template(f"{begin}", "\n", begins=False)
        )

    def positions(
        self,
        ids: Sequence[int],
        image: Sequence[int],  # noqa: ARG002
        layout: Layout | None,  # noqa: ARG002
    ) -> Tensor:
        return torch.arange(1, len(ids) + 1)

    def extras(
        self,
        rows: Sequence[Row],
        deep: Sequence[Sequence[Tensor]],  # noqa: ARG002
        hidden: Tensor,
        start: int,  # noqa: ARG002
    ) -> dict[str, Any]:
        # 0 where all attend to all; padding is not to be among that.
        kinds = torch.ones(hidden.shape[:2], dtype=torch.long)
        for i, row in enumerate(rows):
            first = hidden.shape[1] - row.length
            kinds[i, first : first + row.prompt_length] = 0
        return {"token_type_ids": kinds.to(hidden.device)}

    def told(self, row: Row) -> dict[str, Any]:
        kinds = torch.ones(1, row.length, dtype=torch.long)
        kinds[0, : row.prompt_length] = 0
        return {"token_type_ids": kinds}

    def head(self, hidden: Tensor) -> Tensor:
        return soft_capped(super().head(hidden), self.text_config)
