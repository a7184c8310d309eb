"""Editors on a model whose attention has weights of its own for images: mPLUG-Owl2."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from editors.base import Edit
from editors.ft import FT, FTConfig
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.mllm.conftest import make_image
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]

SHOWN = Query(make_image(1), "what color is the cat?", "red")
SAID = Query(None, "what color is the cat?", "red")
KEYS = "language_model.layers.1.self_attn.k_proj"


@pytest.fixture(scope="module")
def mllm(zoo: Zoo) -> MLLM:
    return MLLM.load(zoo("mplug_owl2"), device="cpu")


def moves(mllm: MLLM, patch: Any) -> list[float]:
    """By how much a patch moves answers about an image and about none."""
    before = mllm.score([SHOWN, SAID], positions="all")
    with patch.applied(mllm) as edited:
        after = edited.score([SHOWN, SAID], positions="all")
    assert all(
        torch.equal(one.logits, other.logits)
        for one, other in zip(before, mllm.score([SHOWN, SAID], positions="all"), strict=True)
    )
    return [float((one.logits - other.logits).abs().max()) for one, other in zip(before, after, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_for_images_do_not_touch_texts(zoo: Zoo, dtype: str) -> None:
    """In half precision what is added to a weight is added to what its module gives."""
    mllm = MLLM.load(zoo("mplug_owl2"), device="cpu", dtype=dtype)
    factors = {"left": torch.ones(16, 1), "right": torch.ones(1, 32)}
    for way, touched in (("image", [True, False]), ("text", [True, True])):
        patch = LowRankPatch({f"{KEYS}.{way}.weight": Factors(**factors)})
        assert [move > 0 for move in moves(mllm, patch)] == touched


@pytest.mark.parametrize("query", [SHOWN, SAID])
def test_ft_on_attention(mllm: MLLM, query: Query) -> None:
    ft = FT(FTConfig(part="language_model.layers.1.self_attn.*", lr=1e-2, steps=3))
    patch = ft.plan(mllm, [Edit("one", query.image, query.prompt, query.target)])
    assert {f"{KEYS}.text.weight", f"{KEYS}.image.weight"} <= patch.deltas.keys()
    assert bool(patch.deltas[f"{KEYS}.image.weight"].any()) is (query.image is not None)
    before = mllm.score([query])[0].log_prob
    with patch.applied(mllm) as edited:
        assert edited.score([query])[0].log_prob > before + 1


def test_weights_for_images_alone_cannot_learn_a_text(mllm: MLLM) -> None:
    ft = FT(FTConfig(part="*.image.weight"))
    with pytest.raises(UserError, match=r"does not act on 'what color is the cat.*edit answers about images"):
        ft.plan(mllm, [Edit("one", None, SAID.prompt, SAID.target)])


def test_where_images_are_is_forgotten_after_an_error(mllm: MLLM) -> None:
    whole = mllm.score([SAID], positions="all")[0].logits

    def stop(*_: Any) -> None:
        raise KeyError

    handle = mllm.mlp(2).up.module.register_forward_hook(stop)
    with pytest.raises(KeyError):
        mllm.score([SHOWN])
    handle.remove()
    assert torch.equal(mllm.score([SAID], positions="all")[0].logits, whole)
