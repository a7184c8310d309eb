"""Edits made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import pytest

from mmedit_build.formats.edits import UNKNOWN, UNTOLD, imagined_of, portability_of, rephrase_of
from mmedit_build.rows import EditRow, Locality, LocalityItem, Relation


class MakeClean(Protocol):
    def __call__(self, edit_id: str = "one", **changes: Any) -> EditRow: ...


def item(
    question: str,
    answer: str,
    relation: Relation = "far",
    image: str | None = None,
    answers: tuple[str, ...] = (),
) -> LocalityItem:
    return LocalityItem(
        id=question,
        relation=relation,
        image=image,
        image_id=image,
        question=question,
        answers=answers,
        answer=answer,
    )


@pytest.fixture
def make_clean() -> MakeClean:
    """Makes an edit without any fault, of an image and with locality of its own."""

    def make(edit_id: str = "one", **changes: Any) -> EditRow:
        edit = replace(
            UNTOLD,
            id=edit_id,
            split="test",
            image_id=f"image of {edit_id}",
            question=f"How many cats has {edit_id}?",
            prediction="four",
            base=UNKNOWN,
            target="two cats",
            rephrase=rephrase_of(f"What number of cats has {edit_id}?"),
            imagined=imagined_of(f"rephrased image of {edit_id}"),
            answers=("two cats",) * 6 + ("3",) * 4,
        )
        texts = changes.pop("text", (item(f"who painted {edit_id}x", "Ada"),))
        images = changes.pop(
            "images", (item("What is this tool for?", "digging", image=f"other image of {edit_id}"),)
        )
        if isinstance(rephrase := changes.get("rephrase"), str):
            changes["rephrase"] = rephrase_of(rephrase)
        if "hops" in changes:
            changes["portability"] = portability_of(changes.pop("hops"))
        return replace(edit, **{"locality": Locality(text=texts, image=images), **changes})

    return make
