"""Which columns of a batch hold what: rows stand at the right, behind padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mmedit_build.mllm import Batch, Row


def prompt_ends(batch: Batch) -> Tensor:
    """The column of the last position of each prompt (rows,): what stands there predicts the answer."""
    lengths = batch.valid.sum(dim=1)
    prompts = torch.tensor([row.prompt_length for row in batch.rows], device=lengths.device)
    return batch.valid.shape[1] - lengths + prompts - 1


def answering(batch: Batch, width: int) -> Tensor:
    """Of the last `width` columns of a batch, which predict a token of the answer: (rows, width)."""
    return answer_steps(batch, width) >= 0


def answer_steps(batch: Batch, width: int) -> Tensor:
    """Which token of the answer each of the last `width` columns predicts (rows, width); below 0 none."""
    total = batch.valid.shape[1]
    ends = prompt_ends(batch)
    return torch.arange(total - width, total, device=ends.device) - ends[:, None]


def of_image(batch: Batch) -> Tensor:
    """Which columns hold features of an image (rows, columns)."""
    return _marked(batch, lambda row: row.image)


def of_text(batch: Batch) -> Tensor:
    """Which columns hold text of a prompt, that of the template included (rows, columns)."""
    return _marked(batch, lambda row: set(range(row.prompt_length)).difference(row.image))


def asking(batch: Batch) -> Tensor:
    """Which columns hold a prompt's text behind the image, without one all but the first (rows, columns).

    The last position of the prompt, which predicts the answer, is always one of them.
    """
    return _marked(batch, lambda row: range(_behind_image(row), row.prompt_length))


def of_answer(batch: Batch) -> Tensor:
    """Which columns hold a target (rows, columns)."""
    return _marked(batch, lambda row: range(row.prompt_length, row.length))


def _behind_image(row: Row) -> int:
    return min(max(row.image, default=0) + 1, row.prompt_length - 1)


def _marked(batch: Batch, positions: Callable[[Row], Iterable[int]]) -> Tensor:
    marked = torch.zeros_like(batch.valid, dtype=torch.bool)
    # While generating there are columns behind the row itself.
    starts = (batch.valid.shape[1] - batch.valid.sum(dim=1)).tolist()
    for number, (row, start) in enumerate(zip(batch.rows, starts, strict=True)):
        marked[number, [start + position for position in positions(row)]] = True
    return marked
