"""Which side memory a prompt is answered by, and where it acts."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from torch import Tensor

from editors.base import TrainEdit
from editors.gating.codebook import Gate
from editors.gating.sides import Place, Side, SidePatch, beside
from editors.patches.hooks import hooked
from editors.patches.places import prompt_ends
from editors.saving import load_patch, save_patch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query

PLACE = Place(3, "down")
Passed = tuple[Tensor, Tensor, Tensor]


@pytest.fixture
def asked(pictures: list[PIL.Image.Image]) -> list[Query]:
    return [
        Query(None, "what color is the cat?", "two boats"),
        Query(pictures[0], "who wrote the book", "a red tree"),
    ]


def drawn(seed: int, scale: float = 0.5) -> Tensor:
    return scale * torch.randn(32, 64, generator=torch.Generator().manual_seed(seed))


def patch(*sides: Side, **options: Any) -> SidePatch:
    return SidePatch(PLACE, sides, len(sides), **{"ratio": 0.5, **options})


def passed(
    mllm: MLLM, one: SidePatch | None, queries: list[Query]
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """For each query what enters and what leaves the module, and where its prompt ends."""
    found: dict[int, Passed] = {}

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        ends = prompt_ends(batch)
        for row, index in enumerate(batch.indices):
            start = x.shape[1] - batch.rows[row].length
            found[index] = x[row, start:].clone(), y[row, start:].clone(), ends[row] - start
        return y

    def score() -> None:
        with hooked(mllm, {PLACE.linear(mllm).name: keep}):
            mllm.score(queries)

    if one is None:
        score()
    else:
        with one.applied(mllm):
            score()
    return found


def moved(mllm: MLLM, query: Query, change: Tensor, *, image: bool = False) -> float:
    """How far a prompt is moved, by hand."""
    x, y, end = passed(mllm, None, [query])[0]
    phi = PLACE.activation(mllm)
    far = (phi(beside(x, y, change)) - phi(y)).norm(dim=1)[: int(end) + 1]
    positions = mllm.rows([query])[0].image
    text = [i for i in range(len(far)) if image or i not in positions]
    return float(far[text].mean())


def test_without_edits_or_change_the_model_answers_bit_for_bit(mllm: MLLM, asked: list[Query]) -> None:
    plain = mllm.score(asked, positions="all")
    for side in (Side(drawn(1), inf), Side(torch.zeros(32, 64), 0.0), Side(drawn(1), 1e6)):
        with patch(side).applied(mllm) as model:
            found = model.score(asked, positions="all")
        assert all(torch.equal(one.logits, other.logits) for one, other in zip(plain, found, strict=True))


def test_a_prompt_moved_enough_is_answered_by_the_side_all_along(mllm: MLLM, asked: list[Query]) -> None:
    change = drawn(1)
    far = [moved(mllm, query, change) for query in asked]
    least, most = sorted(range(2), key=lambda i: far[i])
    between = (far[least] + far[most]) / 2
    found = passed(mllm, patch(Side(change, 2 * between)), asked)
    plain = passed(mllm, None, asked)
    assert torch.equal(found[least][1], plain[least][1])
    x, y, _ = plain[most]
    torch.testing.assert_close(found[most][1], beside(x, y, change))
    # The edge counts as enough.
    (edge,) = passed(mllm, patch(Side(change, far[0] * 2 * (1 - 1e-6))), asked[:1]).values()
    assert not torch.equal(edge[1], plain[0][1])


def test_of_the_sides_that_are_moved_enough_the_one_moved_most_answers(
    mllm: MLLM, asked: list[Query]
) -> None:
    small, large = drawn(1, 0.2), drawn(2, 0.8)
    near, far = (moved(mllm, asked[0], change) for change in (small, large))
    assert near < far
    x, y, _ = passed(mllm, None, asked[:1])[0]
    for reach, expected in ((far, large), (3 * far, small)):
        (found,) = passed(mllm, patch(Side(small, near), Side(large, reach)), asked[:1]).values()
        torch.testing.assert_close(found[1], beside(x, y, expected))


def test_the_image_is_scored_only_if_it_shall_be(mllm: MLLM, asked: list[Query]) -> None:
    change = drawn(1)
    text, whole = (moved(mllm, asked[1], change, image=image) for image in (False, True))
    assert text != pytest.approx(whole, rel=0.01)
    plain = passed(mllm, None, asked[1:])[0][1]
    for scored, own in (("text", text), ("all", whole)):
        for factor, inside in ((0.99, True), (1.01, False)):
            one = patch(Side(change, 2 * own * factor), scored=scored)
            (found,) = passed(mllm, one, asked[1:]).values()
            assert torch.equal(found[1], plain) is not inside


def test_a_gate_at_each_token_decides_about_answers_anew(mllm: MLLM, asked: list[Query]) -> None:
    change = drawn(1)
    x, y, end = passed(mllm, None, asked[:1])[0]
    phi = PLACE.activation(mllm)
    each = (phi(beside(x, y, change)) - phi(y)).norm(dim=1)
    whole = float(each[: int(end) + 1].mean())
    limit = float(each[int(end) + 1 :].mean())
    (found,) = passed(mllm, patch(Side(change, 2 * limit), gate="token"), asked[:1]).values()
    differs = (found[1] != y).any(dim=1).tolist()
    expected = [whole >= limit] * (int(end) + 1) + (each[int(end) + 1 :] >= limit).tolist()
    assert differs == expected
    assert len(set(expected[int(end) + 1 :])) == 2


def test_what_is_written_is_what_would_be_scored(miniature: MLLM, world: list[TrainEdit]) -> None:
    queries = [one.edit.query for one in world[:4]]
    shape = Place(3, "down").linear(miniature).module.weight.shape
    change = 0.02 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    gates: tuple[Gate, ...] = ("prompt", "token")
    for gate in gates:
        with patch(Side(change, 0.1), gate=gate).applied(miniature):
            said = miniature.write(queries, max_new_tokens=12)
            found = [miniature.confirm(query, one.text) for query, one in zip(queries, said, strict=True)]
        assert [one.text for one in found if one] == [one.text for one in said]


def test_nothing_of_it_is_lost(mllm: MLLM, asked: list[Query], tmp_path: Path) -> None:
    one = patch(Side(drawn(1), 3.0), Side(drawn(2), inf), scored="all", gate="token")
    save_patch(one, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert isinstance(loaded, SidePatch)
    assert [side.moved for side in loaded.sides] == [3.0, inf]
    assert (loaded.place, loaded.edits, loaded.ratio) == (PLACE, 2, 0.5)
    assert (loaded.scored, loaded.gate, loaded.changed) == ("all", "token", 2 * 32 * 64)
    with one.applied(mllm) as model, loaded.applied(mllm) as other:
        assert model.generate(asked) == other.generate(asked)
    with pytest.raises(UserError, match="apply the patch to the model it was planned for"):
        patch(Side(torch.zeros(3, 3), 1.0)).first_layer(mllm)
