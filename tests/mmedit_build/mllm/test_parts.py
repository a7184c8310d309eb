from __future__ import annotations

import pytest
import torch

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM

LAYERS = "language_model.model.decoder.layers"


def test_parts_cover_the_model_without_overlap(mllm: MLLM) -> None:
    names = [name for part in ("vision", "connector", "language") for name in mllm.part(part)]
    assert sorted(names) == sorted(name for name, _ in mllm.model.named_parameters())


def test_a_layer_by_number(mllm: MLLM) -> None:
    names = mllm.part("layer.5")
    assert f"{LAYERS}.5.self_attn.q_proj.weight" in names
    assert all(name.startswith(f"{LAYERS}.5.") for name in names)
    assert mllm.part("layer.-1").keys() == names.keys()
    assert mllm.layer(-1) is mllm.layer(5)


def test_an_mlp_by_number(mllm: MLLM) -> None:
    names = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
    assert list(mllm.part("mlp.3")) == [f"{LAYERS}.3.{name}" for name in names]


def test_a_pattern(mllm: MLLM) -> None:
    assert list(mllm.part(f"{LAYERS}.[45].fc2.weight")) == [f"{LAYERS}.{i}.fc2.weight" for i in (4, 5)]


def test_a_pattern_within_a_layer(mllm: MLLM) -> None:
    assert list(mllm.part("layer.-2.fc[12].weight")) == [f"{LAYERS}.4.fc{i}.weight" for i in (1, 2)]


def test_a_part_is_looked_for_once(mllm: MLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(mllm.part("layer.2"))

    def walk() -> None:
        raise AssertionError("parameters are listed anew")

    monkeypatch.setattr(mllm.model, "named_parameters", walk)
    # What a caller does to its own copy is nobody else's matter.
    mllm.part("layer.2").clear()
    assert list(mllm.part("layer.2")) == names


@pytest.mark.parametrize("what", ["visoin", "layer.6", "mlp.-7", "layer.one", "layer.5.fc3.*", "mlp.5.fc1"])
def test_unknown_parts(mllm: MLLM, what: str) -> None:
    with pytest.raises(UserError, match=r"\d"):
        mllm.part(what)


def test_attention_gives_the_module_out_of_it(mllm: MLLM) -> None:
    attention = mllm.attention(-1)
    assert attention.name == f"{LAYERS}.5.self_attn.out_proj"
    assert mllm.model.get_submodule(attention.name) is attention.module


def test_mlp_gives_the_real_modules(mllm: MLLM) -> None:
    mlp = mllm.mlp(2)
    assert mlp.up.name == f"{LAYERS}.2.fc1"
    assert mllm.model.get_submodule(mlp.down.name) is mlp.down.module
    assert mlp.up.module.weight.shape == (64, 32)
    assert mlp.down.module.weight.shape == (32, 64)
    hidden = torch.randn(4, 64)
    assert torch.equal(mlp.activation(hidden), hidden.relu())


@pytest.mark.parametrize(("part", "number"), [("vision", 4), ("connector", 2)])
def test_what_images_go_through_gives_the_real_modules_of_its_last_layers(
    mllm: MLLM, part: str, number: int
) -> None:
    found = mllm.seeing_linears(part)
    # Two layers, which are fewer than are edited of a larger tower.
    assert len(found) == number
    for linear in found:
        assert mllm.model.get_submodule(linear.name) is linear.module
        assert f"{linear.name}.weight" in mllm.part(part)


def test_first_layer(mllm: MLLM) -> None:
    assert mllm.first_layer(mllm.part("mlp.4")) == 4
    assert mllm.first_layer([*mllm.part("layer.5"), *mllm.part("mlp.2")]) == 2
    assert mllm.first_layer(["language_model.model.decoder.final_layer_norm.bias"]) == mllm.n_layers
    assert mllm.first_layer(["language_model.lm_head.weight"]) is None  # tied to the embedding
    assert mllm.first_layer([*mllm.part("connector"), *mllm.part("mlp.4")]) is None
    with pytest.raises(AttributeError):
        mllm.first_layer(["language_model.no.such.weight"])


def test_layers_are_counted_from_either_end(mllm: MLLM) -> None:
    assert [mllm.layer_index(layer) for layer in (0, 5, -1, -6)] == [0, 5, 5, 0]
    for layer in (6, -7):
        with pytest.raises(UserError, match="layers 0 to 5"):
            mllm.layer_index(layer)


def test_a_parameter_lies_in_its_layer(mllm: MLLM) -> None:
    (inside, *_), (outside, *_) = mllm.part("mlp.4"), mllm.part("connector")
    assert mllm.layer_of(inside) == 4
    assert mllm.layer_of(outside) is None
    assert mllm.layer_of("language_model.model.decoder.final_layer_norm.bias") is None


def test_everything_is_frozen_and_in_eval_mode(mllm: MLLM) -> None:
    assert not any(parameter.requires_grad for parameter in mllm.model.parameters())
    assert not any(module.training for module in mllm.model.modules())
    assert mllm.device == torch.device("cpu")
    assert mllm.dtype == torch.float32
    assert mllm.embed_tokens.num_embeddings == len(mllm.tokenizer)
