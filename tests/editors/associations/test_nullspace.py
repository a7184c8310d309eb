"""Which directions are free, and the projection onto them."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from editors.associations.moments import Moment
from editors.associations.nullspace import ENOUGH, NullSpace, shrunk, taken_directions
from mmedit_build.errors import UserError
from tests.editors.conftest import IN, drawn

CPU = torch.device("cpu")
MANY = ENOUGH * IN


def directions(
    second: Tensor, positions: int = MANY, share: float = 0.02, threshold: float | None = None
) -> Tensor:
    return taken_directions(Moment(second, positions), 3, share=share, threshold=threshold, device=CPU)


def moment_of(*eigenvalues: float) -> tuple[Tensor, Tensor]:
    """A second moment with these eigenvalues, and its eigenvectors as columns."""
    torch.manual_seed(0)
    vectors = torch.linalg.qr(drawn(len(eigenvalues), len(eigenvalues))).Q
    return vectors @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ vectors.mT, vectors


def test_it_is_an_orthogonal_projection() -> None:
    torch.manual_seed(0)
    taken = torch.linalg.qr(drawn(IN, 4)).Q
    matrix = NullSpace(taken, CPU).project(torch.eye(IN, dtype=torch.float64))
    torch.testing.assert_close(matrix @ matrix, matrix, rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix, matrix.mT, rtol=0, atol=1e-12)
    assert float((matrix @ taken).abs().max()) < 1e-12
    assert float(matrix.trace()) == pytest.approx(IN - 4)


def test_free_are_the_directions_with_the_smallest_share_of_the_trace() -> None:
    second, vectors = moment_of(0.4, 0.6, 1.0, 8.0, 90.0)
    for share, free in ((0.0039, 0), (0.0041, 1), (0.0101, 2), (0.0199, 2), (0.0201, 3), (0.11, 4)):
        if not free:
            with pytest.raises(UserError, match="raise the option share"):
                directions(second, share=share)
            continue
        taken = directions(second, share=share).double()
        assert taken.shape == (5, 5 - free)
        torch.testing.assert_close(
            taken @ taken.mT, vectors[:, free:] @ vectors[:, free:].mT, rtol=0, atol=1e-6
        )


def test_or_those_below_a_threshold() -> None:
    second, _ = moment_of(0.01, 0.019, 0.021, 5.0)
    assert directions(second, threshold=2e-2).shape == (4, 2)
    with pytest.raises(UserError, match="layer 3 is free of what is known: raise the option threshold"):
        directions(second, threshold=1e-3)


def test_all_are_free_where_nothing_is_to_be_kept() -> None:
    second, _ = moment_of(1.0, 2.0, 3.0)
    assert directions(second, share=1.0).shape == (3, 0)


def test_with_few_keys_fewer_directions_are_free_and_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    keys = drawn(IN, IN // 2)
    second = keys @ keys.mT
    # Half of the directions no key has a part in: with more keys they would be known to be free.
    with caplog.at_level(logging.WARNING):
        assert directions(second, MANY, share=1e-9).shape[1] == IN // 2
        assert not caplog.records
        with pytest.raises(UserError):
            directions(second, MANY // 2, share=1e-9)
    assert f"{IN} features, but its second moments are of {MANY // 2} keys" in caplog.text
    free = [IN - directions(second, MANY // part, share=0.1).shape[1] for part in (1, 2, 4)]
    assert free == sorted(free, reverse=True)
    assert free[-1] < free[0]


def test_the_trace_stays_where_moments_are_shrunk() -> None:
    second, _ = moment_of(*range(1, IN + 1))
    small = shrunk(Moment(second, MANY // 4), 3)
    assert float(small.trace()) == pytest.approx(float(second.trace()))
    expected = 0.25 * second + 0.75 * second.trace() / IN * torch.eye(IN, dtype=torch.float64)
    torch.testing.assert_close(small, expected)
