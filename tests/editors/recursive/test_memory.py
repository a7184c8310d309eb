"""What keys leave of a step, and the gate: their formulas, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from editors.recursive.memory import SHUT, basis, gate, recalled
from tests.editors.conftest import drawn

SIGMA_8, SIGMA_MINUS_2 = 0.9996646498695336, 0.11920292202211755


def recalled_of(number: int, ridge: float) -> tuple[Tensor, Tensor]:
    """P after keys, and the keys."""
    keys, inverse = drawn(number, 6), torch.eye(6, dtype=torch.float64)
    for key in keys:
        inverse = recalled(inverse, key, ridge)
    return inverse, keys


@pytest.mark.parametrize("ridge", [0.5, 1.0, 2000.0])
def test_it_is_the_inverse_of_all_keys(ridge: float) -> None:
    inverse, keys = recalled_of(20, ridge)
    whole = ridge * torch.eye(6, dtype=torch.float64) + keys.mT @ keys
    torch.testing.assert_close(inverse, ridge * torch.linalg.inv(whole), rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(inverse).min() > 0


def test_the_order_of_keys_does_not_matter() -> None:
    inverse, keys = recalled_of(5, 1.0)
    other = torch.eye(6, dtype=torch.float64)
    for key in keys.flip(0):
        other = recalled(other, key, 1.0)
    torch.testing.assert_close(other, inverse, rtol=0, atol=1e-12)


def test_the_same_key_again_leaves_less_each_time() -> None:
    key, inverse = torch.tensor([2.0, 0, 0], dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    for left in (3, 5, 7):
        inverse = recalled(inverse, key, 2.0)
        torch.testing.assert_close(inverse @ key, key / left, rtol=0, atol=1e-12)
    across = torch.tensor([0, 1.0, -3.0], dtype=torch.float64)
    assert torch.equal(inverse @ across, across)


def opened(text: Tensor, image: Tensor) -> float:
    return gate(text, image, slope=10.0, threshold=0.2).share


def test_the_gate_opens_by_direction_and_length() -> None:
    text = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    across = torch.tensor([4.0, -3.0, 0.0], dtype=torch.float64)
    assert opened(text, text) == pytest.approx(SIGMA_8 / 2, abs=1e-5)
    # Half as long: half the evidence, a third of the share.
    assert opened(text, text / 2) == pytest.approx(SIGMA_8 / 2 / 3, abs=1e-5)
    assert opened(text, text * 2) == pytest.approx(SIGMA_8 / 2 * 2 / 3, abs=1e-5)
    assert opened(text, across) == pytest.approx(SIGMA_MINUS_2 / 2, abs=1e-5)
    assert opened(text, -text) < 1e-5


def test_what_is_shared_recalls_a_key_between_both() -> None:
    text, image = drawn(2, 5)
    key = gate(text, image, slope=10.0, threshold=0.2).key
    assert key is not None
    assert float(key.norm()) == pytest.approx(1.0)
    # Each counts as much as it is long.
    between = text.norm() * text + image.norm() * image
    torch.testing.assert_close(key, between / between.norm(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("image", [None, torch.zeros(2)])
def test_without_an_image_the_gate_is_shut(image: Tensor | None) -> None:
    assert gate(torch.ones(2), image, slope=10.0, threshold=0.2) is SHUT


def test_bases_are_orthogonal_and_known_by_name() -> None:
    one = basis("a", 8, 24, 0)
    torch.testing.assert_close(one @ one.mT, torch.eye(8), rtol=0, atol=1e-5)
    assert torch.equal(one, basis("a", 8, 24, 0))
    assert not torch.allclose(one, basis("b", 8, 24, 0), atol=0.01)
    assert not torch.allclose(one, basis("a", 8, 24, 1), atol=0.01)
    assert math.isclose(float(basis("a", 24, 24, 0).det().abs()), 1.0, abs_tol=1e-4)
