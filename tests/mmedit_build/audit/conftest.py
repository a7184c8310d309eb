"""Samples made by hand."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from mmedit_build.audit.samples import Item, Sample


class MakeSample(Protocol):
    def __call__(self, sample_id: str = "one", **changes: Any) -> Sample: ...


@pytest.fixture
def make_sample() -> MakeSample:
    """Makes a sample without any fault, of an image and with locality of its own."""

    def make(sample_id: str = "one", **changes: Any) -> Sample:
        fields: dict[str, Any] = {
            "task": "vqa",
            "split": "test",
            "image": f"image of {sample_id}",
            "question": f"How many cats has {sample_id}?",
            "prediction": "four",
            "target": "two cats",
            "rephrase": f"What number of cats has {sample_id}?",
            "image_rephrase": f"rephrased image of {sample_id}",
            "answers": ("two cats",) * 6 + ("3",) * 4,
            "text_items": (Item(f"who painted {sample_id}x", "Ada"),),
            "image_items": (Item("What is this tool for?", "digging", image=f"other image of {sample_id}"),),
        }
        return Sample(id=sample_id, **{**fields, **changes})

    return make
