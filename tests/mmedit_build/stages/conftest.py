"""What tests of several stages are made of."""

from __future__ import annotations

from mmedit_build.rows import LocalityItem


def item(number: int, question: str, image: int | None = None) -> LocalityItem:
    """A far item, about an image or a fact."""
    return LocalityItem(
        id=f"{'nq' if image is None else 'okvqa'}/{number}",
        relation="far",
        image=None if image is None else f"{image}.jpg",
        image_id=None if image is None else str(image),
        question=question,
        answers=("yes",) * 10,
        answer="yes",
        prediction="yes",
    )
