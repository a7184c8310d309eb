"""What would go wrong silently does go wrong in these tests: they would show it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.families.base import Family
from tests.mmedit_build.mllm.families.conftest import Specimens

WRONG = 0.1


@pytest.fixture
def moved(specimens: Specimens, queries: list[Query]) -> Any:
    """By how much logits move when a family is changed."""

    def by(name: str, layer: int, change: Any) -> float:
        specimen = specimens(name)
        whole = specimen.mllm.score(queries, positions="all")
        with pytest.MonkeyPatch.context() as patched:
            change(patched, specimen.family)
            found = specimen.mllm.score(specimen.mllm.below(queries, layer), positions="all")
        pairs = zip(whole, found, strict=True)
        return max(float((one.logits - other.logits).abs().max()) for one, other in pairs)

    return by


def plain_positions(patched: pytest.MonkeyPatch, family: Family) -> None:
    def positions(ids: Any, *_: Any) -> torch.Tensor:
        return torch.arange(len(ids)).expand(family.axes, -1) if family.axes > 1 else torch.arange(len(ids))

    patched.setattr(family, "positions", positions)


def no_extras(patched: pytest.MonkeyPatch, family: Family) -> None:
    patched.setattr(family, "extras", lambda *_: {})


def hooks_in_order(patched: pytest.MonkeyPatch, _: Family) -> None:
    register = nn.Module.register_forward_pre_hook

    def last(module: nn.Module, hook: Any, **__: Any) -> Any:
        return register(module, hook)

    patched.setattr(nn.Module, "register_forward_pre_hook", last)


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_plain_positions_are_wrong(moved: Any, name: str) -> None:
    assert moved(name, 0, plain_positions) > WRONG


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma3", "mplug_owl2", "paligemma", "paligemma2"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_trunk_told_too_little_is_wrong(moved: Any, name: str, layer: int) -> None:
    assert moved(name, layer, no_extras) > WRONG


def test_leaving_before_entering_is_wrong(specimens: Specimens, queries: list[Query]) -> None:
    """Above the last layer both happen at the norm, and OPT adds positions to what comes along by itself."""
    mllm, family = specimens("blip-2 opt").mllm, specimens("blip-2 opt").family

    def moved(layer: int) -> float:
        below = mllm.below(queries, layer, for_generation=True)
        whole = mllm.write(queries, max_new_tokens=1)
        with pytest.MonkeyPatch.context() as patched:
            hooks_in_order(patched, family)
            found = mllm.write(below, max_new_tokens=1)
        pairs = zip(whole, found, strict=True)
        return max(abs(one.token_log_probs[0] - other.token_log_probs[0]) for one, other in pairs)

    assert moved(mllm.n_layers - 1) < 1e-5
    assert moved(mllm.n_layers) > WRONG


def test_without_the_soft_cap(specimens: Specimens, queries: list[Query]) -> None:
    specimen = specimens("paligemma2")
    capped = specimen.mllm.score(queries)
    family = specimen.family
    hidden = specimen.mllm.below(queries, specimen.mllm.n_layers).hidden[0]
    assert float((Family.head(family, hidden) - family.head(hidden)).abs().max()) > WRONG
    assert all(float(one.logits.abs().max()) < 3 for one in capped)


def test_what_the_prompt_asks_is_seen_in_the_image(specimens: Specimens, queries: list[Query]) -> None:
    """InstructBLIP alone."""
    asked = [Query(queries[0].image, prompt) for prompt in ("what color?", "how many?")]

    def differ(mllm: MLLM) -> bool:
        one, other = mllm.image_features(asked)
        return not torch.allclose(one, other, atol=1e-3)

    assert differ(specimens("instructblip").mllm)
    assert not differ(specimens("blip-2 llama").mllm)
