"""What is found by embeddings wants a checkpoint."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mmedit_build.recipe import AttachStage, Neighbors
from mmedit_build.recipe.attach import BY_NEARNESS


@pytest.mark.parametrize("name", BY_NEARNESS)
def test_neighbors_want_a_checkpoint(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} is found by embeddings; name a checkpoint under"):
        AttachStage.model_validate({name: 1})
    assert getattr(AttachStage.model_validate({name: 1, "neighbors": {"model": "clip"}}), name) == 1


def test_cosines_alone_may_be_asked_for_and_so_may_the_question_without_image() -> None:
    assert AttachStage(neighbors=Neighbors(model="clip")).near_right == 0
    assert AttachStage(no_image=True).neighbors is None
