"""Multimodal models as the rest of the project sees them: score targets, generate text, name the parts."""

from __future__ import annotations

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.families import FAMILIES
from mmedit_build.mllm.loading import find_device
from mmedit_build.mllm.model import MLLM
from mmedit_build.mllm.parts import MLP, NamedLinear
from mmedit_build.mllm.passes import Batch, Counts
from mmedit_build.mllm.query import Generated, Positions, Query, Scored
from mmedit_build.mllm.rows import Row

__all__ = [
    "FAMILIES",
    "MLLM",
    "MLP",
    "Batch",
    "Below",
    "Counts",
    "Generated",
    "NamedLinear",
    "Positions",
    "Query",
    "Row",
    "Scored",
    "find_device",
]
