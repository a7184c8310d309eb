"""The options bundled for kinds of models name what these models have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from editors import load_editor
from evaluation.run.suited import bundled, suited
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.loading import model_kind
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]

KINDS = {
    "blip-2-opt": ("blip-2 opt", 32),
    "blip-2-llama": ("blip-2 llama", 32),
    "llava-llama": ("llava", 32),
    "llava_onevision-qwen2": ("llava_onevision", 24),
    "qwen2_vl": ("qwen2_vl", 28),
    "qwen2_5_vl": ("qwen2_5_vl", 28),
    "qwen3_vl": ("qwen3_vl", 28),
    "mmedit_qwen_vl-qwen2": ("qwen_vl v1", 32),
    "mmedit_mplug_owl2-llama": ("mplug_owl2", 32),
}
"""By the name of the file: a tiny model in the zoo, and how many layers the shallowest real one has."""
WITH_GATE = ("mmedit_qwen_vl-qwen2", "mmedit_mplug_owl2-llama")
"""Models of which VLKEB tunes the gate as well."""
LAYERS: dict[str, Callable[[dict[str, Any]], tuple[int, ...]]] = {
    "rome": lambda options: (options["layer"],),
    "memit": lambda options: options["edited"],
    "mend": lambda options: options["layers"],
    "ke": lambda options: options["layers"],
}
"""By the method, the layers that it is told."""


def test_no_file_is_left_out() -> None:
    assert set(KINDS) == {name for name in bundled() if not name.startswith("miniature")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_model_gets_the_options_of_its_kind(kind: str, zoo: Zoo) -> None:
    folder = zoo(KINDS[kind][0])
    assert model_kind(folder, None) == kind
    methods = bundled()[kind].methods
    assert suited(dict.fromkeys(methods, type(methods["ft"])()), folder, None) == methods


@pytest.mark.parametrize("kind", KINDS)
def test_parts_and_layers_are_those_of_the_family(kind: str, zoo: Zoo) -> None:
    name, layers = KINDS[kind]
    mllm = MLLM.load(zoo(name), device="cpu")
    for method, one in bundled()[kind].methods.items():
        options = load_editor(method, one.options).config.model_dump()
        if method in LAYERS:
            assert all(-layers <= layer < layers for layer in LAYERS[method](options))
        if "part" in options and method.startswith("ft"):
            # Of a vision tower that is deeper than the tiny one's.
            assert mllm.part(options["part"].replace("layers.47.", "layers.2."))
    tuned = mllm.part(bundled()[kind].methods["ft"].options["part"])
    # The weights alone, of the matrices by which an MLP is entered and left.
    mlp = mllm.mlp(-1)
    linears = mlp.linears if kind in WITH_GATE else (mlp.up, mlp.down)
    assert set(tuned) == {f"{one.name}.weight" for one in linears}
    with pytest.raises(UserError, match="no layer 99"):
        mllm.part("layer.99.mlp.*")
