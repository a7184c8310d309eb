from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.loading import load_family
from mmedit_build.mllm.selfcheck import check
from tests.zoo.building import Zoo, zoo
from tests.zoo.members import MEMBERS

__all__ = ["zoo"]


def loaded(folder: str, dtype: str = "float32") -> tuple[MLLM, Family]:
    family = load_family(folder, revision=None, device="cpu", dtype=dtype, template="checkpoint")
    return MLLM(family, folder), family


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", MEMBERS)
def test_every_family_passes(zoo: Zoo, name: str, dtype: str) -> None:
    started = time.perf_counter()
    check(*loaded(zoo(name), dtype))
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma3", "paligemma"])
def test_a_trunk_told_too_little_is_refused(zoo: Zoo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mllm, family = loaded(zoo(name))
    monkeypatch.setattr(family, "extras", lambda *_: {})
    with pytest.raises(UserError, match=r"on an image its logits differ .* by 0\.\d+ of the largest"):
        check(mllm, family)


def test_a_text_alone_is_tried_too(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    mllm, family = loaded(zoo("llava"))
    positions = family.positions
    monkeypatch.setattr(
        family, "positions", lambda ids, image, *rest: positions(ids, image, *rest) * (2 if not image else 1)
    )
    with pytest.raises(UserError, match="on a text its logits differ"):
        check(mllm, family)


def test_logits_that_are_no_numbers(zoo: Zoo) -> None:
    mllm, family = loaded(zoo("gemma3"))
    with torch.no_grad():
        mllm.mlp(0).down.module.weight[0] = float("nan")
    with pytest.raises(UserError, match=r"by nan of the largest.*another dtype"):
        check(mllm, family)


def test_layers_that_cannot_be_run(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    mllm, family = loaded(zoo("llava"))
    monkeypatch.setattr(family, "trunk", nn.Identity())
    with pytest.raises(UserError, match="on an image it fails with TypeError") as caught:
        check(mllm, family)
    assert "\n" not in str(caught.value)


def test_it_leaves_no_trace(zoo: Zoo) -> None:
    mllm = MLLM.load(zoo("llava"), device="cpu")
    assert (mllm.counts.vision, mllm.counts.layers) == (0, 0)


def test_loading_checks(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmedit_build.mllm.families.gemma3.Gemma3.extras", lambda *_: {})
    with pytest.raises(UserError, match="cannot be run layer by layer"):
        MLLM.load(zoo("gemma3"), device="cpu")


def test_a_checkpoint_that_names_no_placeholder(zoo: Zoo) -> None:
    """Older ones of BLIP-2."""
    mllm, family = loaded(zoo("blip-2 opt"))
    family.config.image_token_id = None
    check(mllm, family)
