"""What families find out about the modules of a model."""

from __future__ import annotations

from torch import Tensor, nn

from mmedit_build.mllm.families.pieces import cache_name


class Before(nn.Module):
    def forward(self, hidden: Tensor, past_key_values: object = None) -> Tensor:  # noqa: ARG002
        return hidden


class Since(nn.Module):
    def forward(self, hidden: Tensor, cache: object = None) -> Tensor:  # noqa: ARG002
        return hidden


def test_a_cache_has_the_name_that_a_module_asks_for() -> None:
    assert cache_name(Before()) == "past_key_values"
    assert cache_name(Since()) == "cache"
