"""No way to a checkpoint takes one that is not whole and sound; each says so in one sentence."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mmedit_build.checkpoints.weights import check_finite, told
from mmedit_build.errors import UserError
from tests.mmedit_build.checkpoints.conftest import Way


def refusal(way: Way) -> str:
    with pytest.raises(UserError) as raised:
        way.open()
    said = str(raised.value)
    assert "\n" not in said
    assert str(way.folder) in said
    return said


def spoil(way: Way, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, way.weights, {"format": "pt"})


def test_sound_checkpoints_load(way: Way) -> None:
    assert way.open() is not None


def test_half_of_the_tensors(way: Way) -> None:
    tensors = load_file(way.weights)
    half = sorted(tensors)[: len(tensors) // 2]
    spoil(way, {name: tensors[name] for name in half})
    assert "tensors that its config.json asks for, such as" in refusal(way)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_one_number_that_is_none(way: Way, value: float) -> None:
    tensors = load_file(way.weights)
    name = max(tensors, key=lambda one: tensors[one].numel() if tensors[one].is_floating_point() else 0)
    tensors[name].view(-1)[-1] = value
    spoil(way, tensors)
    assert "are not finite numbers in 1 tensors" in refusal(way)


def test_pickled_weights(way: Way) -> None:
    torch.save(load_file(way.weights), way.weights.with_name("pytorch_model.bin"))
    way.weights.unlink()
    assert "pytorch_model.bin, and pickled weights can run code" in refusal(way)


def test_weights_that_were_cut_off(way: Way) -> None:
    whole = way.weights.read_bytes()
    way.weights.write_bytes(whole[: len(whole) // 2])
    assert "no complete .safetensors file" in refusal(way)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_any_precision_is_looked_at(dtype: torch.dtype) -> None:
    layer = nn.Linear(3, 2).to(dtype)
    check_finite("it", layer)
    layer.bias.data = torch.tensor([0.0, float("nan")]).to(dtype)
    with pytest.raises(UserError, match=r"'it' are not finite numbers in 1 tensors, such as bias"):
        check_finite("it", layer)


def test_whatever_a_library_raises_is_one_sentence() -> None:
    with (
        pytest.raises(UserError, match=r"^Cannot load a thing from 'x' \(first\): do y\.$"),
        told("a thing", "x", "do y"),
    ):
        raise Exception("first.\nsecond")
    with pytest.raises(UserError, match=r"\(TypeError\)"), told("a thing", "x", "do y"):
        raise TypeError
    with pytest.raises(UserError, match=r"^as it is$"), told("a thing", "x", "do y"):
        raise UserError("as it is")
