"""Rows in batches of similar length, as large as the device has memory for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

Result = TypeVar("Result")


def batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices of the rows in batches of similar length, longest first: memory runs out at once or never."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def in_batches(
    lengths: Sequence[int], batch_size: int, run: Callable[[Sequence[int]], Sequence[Result]]
) -> list[Result]:
    """Run rows of these lengths batch by batch and put the results back in order."""
    return run_batches(batches(lengths, batch_size), run)


def run_batches(
    chosen: Iterable[Sequence[int]], run: Callable[[Sequence[int]], Sequence[Result]]
) -> list[Result]:
    """Run batches of all rows, by number, and put the results in order.

    A batch that the device has no memory for is run in halves, and all after it in batches of that size.
    """
    results: dict[int, Result] = {}
    waiting = [list(batch) for batch in chosen][::-1]
    while waiting:
        indices = waiting.pop()
        try:
            found = run(indices)
        except torch.OutOfMemoryError:
            if len(indices) == 1:
                raise
            rest = [index for batch in (indices, *waiting[::-1]) for index in batch]
            half = len(indices) // 2
            waiting = [rest[start : start + half] for start in range(0, len(rest), half)][::-1]
            continue
        results.update(zip(indices, found, strict=True))
    return [results[i] for i in range(len(results))]
