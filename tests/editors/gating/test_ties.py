"""Changes of one matrix that become one."""

from __future__ import annotations

import torch

from editors.gating.ties import merged


def test_one_change_kept_whole_is_what_it_was() -> None:
    change = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(merged([change], [1.0], 1.0), change)
    assert torch.equal(merged([change], [0.3], 1.0), 0.3 * change / 0.3)


def test_changes_of_different_places_are_added_and_not_halved() -> None:
    one, other = torch.randn(2, 4, 5, dtype=torch.float64)
    where = torch.arange(20).view(4, 5) % 2 == 0
    one, other = one * where, other * ~where
    torch.testing.assert_close(merged([one, other], [0.5, 0.5], 1.0), one + other, rtol=0, atol=1e-15)


def test_where_signs_differ_the_larger_one_wins_alone() -> None:
    one, other = torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[-1.0, 4.0, 1.0]])
    assert merged([one, other], [0.5, 0.5], 1.0).tolist() == [[3.0, 4.0, 1.5]]
    # By their weights: 0.9 * 1 against 0.1 * 3.
    assert merged([one, other], [0.1, 0.9], 1.0)[0, 0] == -1.0


def test_of_each_change_the_largest_numbers_are_kept() -> None:
    change = torch.tensor([[1.0, -5.0], [3.0, -2.0]])
    assert merged([change], [1.0], 0.5).tolist() == [[0.0, -5.0], [3.0, 0.0]]
    assert merged([change], [1.0], 0.3).tolist() == [[0.0, -5.0], [0.0, 0.0]]
