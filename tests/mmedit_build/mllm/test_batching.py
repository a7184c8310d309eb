from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from mmedit_build.mllm.batching import batches, in_batches


def test_batches_hold_rows_of_similar_length() -> None:
    assert list(batches([3, 9, 4, 8, 1], 2)) == [[1, 3], [2, 0], [4]]
    assert list(batches([], 2)) == []


def test_results_come_in_order_whatever_has_room() -> None:
    sizes: list[int] = []

    def run(indices: Sequence[int]) -> list[int]:
        sizes.append(len(indices))
        if len(indices) > most:
            raise torch.OutOfMemoryError
        return [10 * index for index in indices]

    for most in (9, 2, 1):  # noqa: B007  # `run` looks at it
        assert in_batches([3, 9, 4, 8, 1], 4, run) == [0, 10, 20, 30, 40]
    assert sizes == [4, 1, 4, 2, 2, 1, 4, 2, 1, 1, 1, 1, 1]
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        in_batches([1, 2], 2, run)
