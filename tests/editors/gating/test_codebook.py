"""The rules of a codebook, and what its patch puts where."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from editors.gating.codebook import GAP, Codebook, CodebookPatch, Gate, Label
from editors.gating.learning import keys_of
from editors.grace import balanced
from editors.patches.hooks import hooked
from editors.patches.places import answer_steps
from editors.saving import load_patch, save_patch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query

A: Label = (7, 8)
B: Label = (9, 6)
"""Of the same mean as A, by which published code compares answers."""
LAYER = 3


def line(*points: tuple[float, Label], radius: float = 1.0) -> Codebook:
    """Edits on a line, one after the other."""
    book = Codebook.empty(1, torch.empty(0, dtype=torch.float64))
    for place, label in points:
        book, number = book.beside(at(place), radius, label)
        book = book.with_value(number, torch.full((1, 2), place))
    return book


def at(*places: float) -> Tensor:
    return torch.tensor(places, dtype=torch.float64)


def test_the_scenarios_of_the_paper_on_a_line() -> None:
    assert line((0, A)).radii.tolist() == [1.0]
    far = line((0, A), (3, B))
    assert (far.keys[:, 0].tolist(), far.radii.tolist(), far.labels) == ([0, 3], [1, 1], (A, B))
    split = line((0, A), (1.5, B))
    assert split.keys[:, 0].tolist() == [0, 1.5]
    assert split.radii.tolist() == [0.75 - GAP, 0.75]
    wider = line((0, A), (1.5, A))
    assert (wider.keys.tolist(), wider.radii.tolist()) == ([[0]], [1.5])
    inside = line((0, A), (0.5, A))
    assert (inside.keys.tolist(), inside.radii.tolist()) == ([[0]], [1.0])


def test_balls_hold_their_edge_and_the_nearest_key_counts() -> None:
    book = line((0, A), (3, B))
    assert book.chosen(at(-1.01, -1, 0.4, 1, 1.01, 1.99, 2, 4, 4.01)[:, None]).tolist() == [
        -1, 0, 0, 0, -1, -1, 1, 1, -1,
    ]  # fmt: skip
    # The larger ball of a key farther away does not.
    overlapping = Codebook(at(0, 3)[:, None], at(5, 1), (torch.zeros(1, 2),) * 2, (A, B))
    assert overlapping.chosen(at(2.5, 1.8)[:, None]).tolist() == [1, -1]


def test_after_many_edits_each_answer_is_compared_with_its_own() -> None:
    """EasyEdit's code puts new answers first and new keys last, and so compares with another edit's."""
    book = line((0, A), (10, B), (20, A), (11, B))
    assert (book.keys[:, 0].tolist(), book.radii.tolist()) == ([0, 10, 20], [1, 1, 1])
    assert line((0, A), (10, B), (20, A), (11, A)).keys[:, 0].tolist() == [0, 10, 20, 11]


def test_another_answer_at_the_very_key_takes_its_place() -> None:
    book = line((0, A), (0, B))
    assert (book.keys.tolist(), book.radii.tolist(), book.labels) == ([[0]], [1.0], (B,))


def test_older_codebooks_stay() -> None:
    first = line((0, A))
    grown, _ = first.beside(at(1.5), 1.0, B)
    assert first.radii.tolist() == [1.0]
    assert grown.radii.tolist() != [1.0]


def test_a_balanced_radius_lies_between_negative_and_positive() -> None:
    assert balanced(1, 3, 0.0) == 3
    assert balanced(1, 3, 1.0) == 1
    assert balanced(1, 3, 0.2) == pytest.approx(2.6)


@pytest.fixture
def asked() -> list[Query]:
    return [
        Query(None, "what color is the cat?", "two boats"),
        Query(None, "who wrote the book", "a red tree"),
    ]


def patch_for(
    mllm: MLLM, query: Query, value: Tensor, gate: Gate = "prompt", reach: float = 0.0
) -> CodebookPatch:
    (key,) = keys_of(mllm, [query], LAYER)
    book, number = Codebook.empty(len(key), key).with_key(key, reach, A)
    return CodebookPatch(LAYER, book.with_value(number, value), gate)


def seen(mllm: MLLM, patch: CodebookPatch, queries: list[Query]) -> list[dict[int, Tensor]]:
    """What leaves the module under the patch, for each query by the token of the answer it predicts."""
    found: list[dict[int, Tensor]] = [{} for _ in queries]

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        steps = answer_steps(batch, x.shape[1])
        for row, index in enumerate(batch.indices):
            for column in range(x.shape[1]):
                if steps[row, column] >= 0:
                    found[index][int(steps[row, column])] = y[row, column].clone()
        return y

    with patch.applied(mllm) as model, hooked(mllm, {mllm.mlp(LAYER).down.name: keep}):
        model.score(queries, positions="all")
    return found


def test_values_stand_bit_for_bit_where_their_prompt_is_answered_and_nowhere_else(
    mllm: MLLM, asked: list[Query]
) -> None:
    value = torch.randn(2, 32)
    told, other = seen(mllm, patch_for(mllm, asked[0], value), asked)
    assert torch.equal(told[0], value[0])
    assert torch.equal(told[1], value[1])
    plain = seen(mllm, patch_for(mllm, asked[0], value[:0]), asked)
    assert torch.equal(told[2], plain[0][2])
    assert all(torch.equal(one, plain[1][step]) for step, one in other.items())
    with patch_for(mllm, asked[0], value).applied(mllm) as model:
        after, before = model.score(asked, positions="all")[1], mllm.score(asked, positions="all")[1]
    assert torch.equal(after.logits, before.logits)


def test_a_gate_at_each_token_looks_each_of_them_up(mllm: MLLM, asked: list[Query]) -> None:
    value = torch.randn(1, 32)
    everywhere = seen(mllm, patch_for(mllm, asked[0], value, "token", reach=1e6), asked)
    assert all(torch.equal(one, value[0]) for found in everywhere for one in found.values())
    held = seen(mllm, patch_for(mllm, asked[0], value, "prompt", reach=1e6), asked)
    assert [[torch.equal(one, value[0]) for one in found.values()][:2] for found in held] == [
        [True, False]
    ] * 2
    near = seen(mllm, patch_for(mllm, asked[0], value, "token"), asked)
    assert [torch.equal(near[0][step], value[0]) for step in (0, 1)] == [True, False]


def test_of_answers_and_state_nothing_is_lost(mllm: MLLM, asked: list[Query], tmp_path: Path) -> None:
    first = patch_for(mllm, asked[0], torch.randn(2, 32))
    (key,) = keys_of(mllm, asked[1:], LAYER)
    book, number = first.book.with_key(key, 0.5, B)
    patch = CodebookPatch(LAYER, book.with_value(number, torch.randn(3, 32)))
    save_patch(patch, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert isinstance(loaded, CodebookPatch)
    assert loaded.book.labels == (A, B)
    assert all(torch.equal(*pair) for pair in zip(loaded.book.values, patch.book.values, strict=True))
    assert loaded.changed == patch.changed == 2 * 64 + 2 + 5 * 32
    with patch.applied(mllm) as one, loaded.applied(mllm) as other:
        assert one.generate(asked) == other.generate(asked)


def test_a_codebook_of_another_model_is_refused(mllm: MLLM) -> None:
    book, number = Codebook.empty(7, torch.empty(0)).with_key(torch.zeros(7), 1.0, A)
    patch = CodebookPatch(LAYER, book.with_value(number, torch.zeros(1, 7)))
    with pytest.raises(UserError, match="apply the patch to the model it was planned for"):
        patch.first_layer(mllm)
