"""The families of editing methods, in the order in which lists and reports have them."""

from __future__ import annotations

from typing import Literal, get_args

MethodFamily = Literal[
    "fine-tuning", "memory", "added parameters", "meta-learning", "locate and edit", "sanity"
]
METHOD_FAMILIES: tuple[MethodFamily, ...] = get_args(MethodFamily)
"""`sanity` is of no method, but of what tests the evaluation."""
