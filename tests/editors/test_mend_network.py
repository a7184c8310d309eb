"""MEND's network against its formulas, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from editors.learning.gradients import OuterProducts
from editors.learning.hypernetworks import Inner
from editors.learning.normalizing import Normalizer
from editors.mend import MENDNetwork, Residual
from tests.editors.conftest import deltas

SHAPES = {"a": (5, 3), "b": (3, 5), "c": (5, 3)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def products(number: int, out: int, into: int) -> OuterProducts:
    return OuterProducts(torch.randn(number, into).double(), torch.randn(number, out).double())


def wishes(*numbers: int) -> list[Inner]:
    """Gradients at three weights, of so many pairs each, in float64."""
    return [Inner({name: products(number, *shape) for name, shape in SHAPES.items()}) for number in numbers]


def network(*, normal: bool = True, edit_lr: float = 0.5) -> MENDNetwork:
    found = MENDNetwork(SHAPES, rank=4, edit_lr=edit_lr).double()
    if not normal:
        for transform in found.transforms.values():
            transform.normalize = nn.Identity()
    return found


def stir(module: nn.Module) -> None:
    """Every parameter away from where it starts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


# Statistics


def test_statistics_are_those_of_all_rows_seen() -> None:
    normalizer = Normalizer(4).double()
    seen = 3 + 5 * torch.randn(40, 4).double()
    for part in seen.split([1, 1, 17, 0, 21]):
        normalizer.update(part)
    assert normalizer.count == 40
    torch.testing.assert_close(normalizer.mean, seen.mean(dim=0), rtol=0, atol=1e-12)
    deviation = (normalizer.squares / 39).sqrt()
    torch.testing.assert_close(deviation, seen.std(dim=0), rtol=0, atol=1e-12)


def test_rows_count_before_they_are_normalized_and_in_training_only() -> None:
    normalizer = Normalizer(4).double()
    first, second = torch.randn(6, 4).double(), torch.randn(3, 4).double()
    expected = (first - first.mean(dim=0)) / (first.std(dim=0) + 1e-7)
    torch.testing.assert_close(normalizer(first), expected, rtol=0, atol=1e-12)
    normalizer.eval()
    again = (second - first.mean(dim=0)) / (first.std(dim=0) + 1e-7)
    torch.testing.assert_close(normalizer(second), again, rtol=0, atol=1e-12)
    assert normalizer.count == 6
    both = torch.cat([first, second])
    expected = (second - both.mean(dim=0)) / (both.std(dim=0) + 1e-7)
    torch.testing.assert_close(normalizer.train()(second), expected, rtol=0, atol=1e-12)
    normalizer.eval()
    loaded = Normalizer(4).double().eval()
    loaded.load_state_dict(normalizer.state_dict())
    assert torch.equal(loaded(second), normalizer(second))


def test_one_row_has_no_deviation() -> None:
    with pytest.raises(ValueError, match="less than two"):
        Normalizer(2)(torch.ones(1, 2))
    with pytest.raises(ValueError, match="less than two"):
        Normalizer(2).eval()(torch.ones(5, 2))


def test_features_that_never_varied_and_rows_that_are_no_numbers_do_no_harm() -> None:
    normalizer = Normalizer(3)
    seen = torch.randn(9, 3)
    seen[:, 1] = 0.0
    normalizer.update(torch.cat([seen, torch.tensor([[1.0, torch.nan, 0.0]])]))
    normalizer.update(torch.full((2, 3), torch.inf))
    assert normalizer.count == 9
    found = normalizer.eval()(torch.full((1, 3), 0.1))
    assert found.abs().max() < 10
    assert found[0, 1] == 0


# The network


def test_a_layer_is_the_identity_at_first_and_can_leave_it() -> None:
    layer = Residual(6, 4, 2).double()
    start = torch.randn(5, 6).double()
    moved = layer(start, [2, 3])
    assert torch.equal(moved, start)
    moved.sum().backward()
    # With relu in the place of the clamp all of these would be zero.
    for parameter in (layer.up, layer.bias, layer.shift):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_a_layer_keeps_to_its_formula() -> None:
    layer = Residual(6, 4, 2).double()
    stir(layer)
    start = torch.randn(5, 6).double()
    for row, mode, moved in zip(start, [0, 0, 1, 1, 1], layer(start, [2, 3]), strict=True):
        change = (layer.up @ layer.down @ row + layer.bias) * layer.scale[mode] + layer.shift[mode]
        torch.testing.assert_close(moved, row + change.clamp(min=0), rtol=0, atol=1e-12)


def test_a_layer_of_high_rank_is_as_its_formula_where_nothing_is_learned_also_after_a_change() -> None:
    layer = Residual(6, 5, 2).double()
    stir(layer)
    start = torch.randn(5, 6).double()
    for _ in range(2):
        with torch.no_grad():
            found = layer(start, [2, 3])
        torch.testing.assert_close(found, layer(start, [2, 3]), rtol=0, atol=1e-12)
        with torch.no_grad():
            layer.up.mul_(2.0)


def test_at_first_and_without_normalization_it_is_a_step_of_gradient_descent() -> None:
    told = wishes(4, 1)
    for one, patch in zip(told, network(normal=False)(told), strict=True):
        assert list(patch.factors) == list(SHAPES)
        for name, delta in deltas(patch).items():
            pair = one.gradient[name]
            gradient = sum(torch.outer(d, x) for d, x in zip(pair.deltas, pair.inputs, strict=True))
            torch.testing.assert_close(delta, -0.5 * gradient, rtol=0, atol=1e-12)


def test_at_first_it_is_such_a_step_of_what_was_normalized() -> None:
    told, net = wishes(4, 2), network()
    patches = net(told)
    for key, names in {"5x3": ("a", "c"), "3x5": ("b",)}.items():
        pairs = [one.gradient[name] for one in told for name in names]
        seen = torch.cat([torch.cat([pair.inputs, pair.deltas], dim=1) for pair in pairs])
        normalize = net.transforms[key].normalize
        assert isinstance(normalize, Normalizer)
        assert normalize.count == len(seen)
        torch.testing.assert_close(normalize.mean, seen.mean(dim=0), rtol=0, atol=1e-12)
        for one, patch in zip(told, patches, strict=True):
            for name in names:
                pair = one.gradient[name]
                normal = (torch.cat([pair.inputs, pair.deltas], dim=1) - seen.mean(dim=0)) / (
                    seen.std(dim=0) + 1e-7
                )
                x, delta = normal.split([SHAPES[name][1], SHAPES[name][0]], dim=1)
                found = deltas(patch)[name]
                torch.testing.assert_close(found, -0.5 * delta.mT @ x, rtol=0, atol=1e-12)


def test_the_rank_is_at_most_that_of_the_rows_and_rows_are_summed() -> None:
    net = network()
    net(wishes(30))
    net.eval()
    stir(net)
    (one,) = wishes(2)
    twice = Inner(
        {
            name: OuterProducts(pair.inputs.repeat(2, 1), pair.deltas.repeat(2, 1))
            for name, pair in one.gradient.items()
        }
    )
    single, double = net([one, twice])
    for name, delta in deltas(single).items():
        assert torch.linalg.matrix_rank(delta) <= 2
        torch.testing.assert_close(2 * delta, deltas(double)[name], rtol=0, atol=1e-12)


def test_layers_are_never_of_more_rank_than_width() -> None:
    for rank, expected in ((1920, 8), (5, 5)):
        made = MENDNetwork(SHAPES, rank=rank, edit_lr=1.0)
        assert {
            tuple(made.get_parameter(f"transforms.{key}.layers.1.up").shape) for key in ("5x3", "3x5")
        } == {(8, expected)}


def test_edits_are_told_apart_and_weights_of_one_shape_too() -> None:
    net = network()
    net(wishes(30))
    net.eval()
    stir(net)
    told = wishes(3, 1, 4)
    together = net(told)
    for one, patch in zip(told, together, strict=True):
        for name, delta in deltas(net([one])[0]).items():
            torch.testing.assert_close(delta, deltas(patch)[name], rtol=0, atol=1e-12)
    with torch.no_grad():
        net.get_parameter("transforms.5x3.layers.1.shift")[1] += 1.0
        net.rates[1] *= 2
    changed = deltas(net(told)[0])
    assert torch.equal(changed["a"], deltas(together[0])["a"])
    torch.testing.assert_close(changed["b"], 2 * deltas(together[0])["b"])
    assert not torch.allclose(changed["c"], deltas(together[0])["c"])


def test_the_sign_is_part_of_what_is_kept() -> None:
    net, told = network(), wishes(3)
    descending = deltas(net(told)[0])
    state = net.state_dict()
    assert state["sign"] == -1
    other = network()
    other.load_state_dict(state | {"sign": torch.tensor(1.0)})
    for name, delta in deltas(other.eval()(told)[0]).items():
        torch.testing.assert_close(delta, -descending[name], rtol=0, atol=1e-12)
