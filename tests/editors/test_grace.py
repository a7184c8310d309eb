"""GRACE and BalancEdit, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from editors import load_editor
from editors.base import Edit, TrainEdit
from editors.gating.codebook import CodebookPatch
from editors.gating.learning import keys_of
from editors.gating.surroundings import BEFORE, moved, on_black
from editors.grace import GRACE, GRACEConfig
from editors.growing import Made
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.pictures import open_image
from tests.editors.conftest import Snapshot

LAYER = 4


def fitted(mllm: MLLM, train: Sequence[TrainEdit], **options: Any) -> GRACE:
    editor = GRACE(GRACEConfig(layer=LAYER, **options))
    editor.fit(mllm, train, [], work=Path("unused"), advance=lambda _: None)
    return editor


@pytest.fixture
def train(edits: list[Edit]) -> list[TrainEdit]:
    return [TrainEdit(edit) for edit in edits]


def right(mllm: MLLM, patch: CodebookPatch, queries: Sequence[Query]) -> list[bool]:
    with patch.applied(mllm) as model:
        return [torch.equal(one.argmax, one.target_ids) for one in model.score(queries)]


@pytest.mark.parametrize("start", ["cold", "warm"])
def test_an_edit_is_made_where_its_prompt_is_and_the_rest_is_bit_for_bit_the_same(
    mllm: MLLM, edits: list[Edit], probes: list[Query], start: str
) -> None:
    before = Snapshot(mllm)
    editor = fitted(mllm, [], radius="fixed", epsilon=1e-3, value="sequence", start=start, steps=40)
    patch = editor.plan(mllm, edits[:1])
    before.assert_unchanged(mllm)
    assert right(mllm, patch, [edits[0].query]) == [True]
    apart = (keys_of(mllm, probes, LAYER) - patch.book.keys).norm(dim=1) > 1e-2
    others = [probe for probe, far in zip(probes, apart.tolist(), strict=True) if far]
    assert len(others) > 5
    plain = mllm.score(others, positions="all")
    with patch.applied(mllm) as model:
        for one, other in zip(plain, model.score(others, positions="all"), strict=True):
            assert torch.equal(one.logits, other.logits)
    before.assert_unchanged(mllm)


def test_images_that_differ_keep_keys_apart(mllm: MLLM, edits: list[Edit]) -> None:
    same, other = edits[0].query, replace(edits[0].query, image=edits[1].image)
    one, two = keys_of(mllm, [same, other], LAYER)
    distance = float((one - two).norm())
    assert distance > 1e-3
    for epsilon, inside in ((0.9 * distance, False), (1.1 * distance, True)):
        patch = fitted(mllm, [], radius="fixed", epsilon=epsilon, steps=1).plan(mllm, edits[:1])
        with patch.applied(mllm) as model:
            (after,) = model.score([other], positions="all")
        (before,) = mllm.score([other], positions="all")
        assert torch.equal(after.logits, before.logits) is not inside


def test_a_relative_radius_is_a_share_of_the_median_distance(mllm: MLLM, train: list[TrainEdit]) -> None:
    keys = keys_of(mllm, [one.edit.query for one in train], LAYER)
    pairs = [(keys[0] - keys[1]).norm(), (keys[0] - keys[2]).norm(), (keys[1] - keys[2]).norm()]
    patch = fitted(mllm, train, share=0.25, steps=1).plan(mllm, [train[0].edit])
    torch.testing.assert_close(patch.book.radii[0], 0.25 * torch.stack(pairs).median())
    with pytest.raises(UserError, match="give two that differ"):
        fitted(mllm, train[:1])


def test_a_balanced_radius_is_stored_once(mllm: MLLM, edits: list[Edit]) -> None:
    (key,) = keys_of(mllm, [edits[0].query], LAYER)
    (black,) = keys_of(mllm, [on_black(edits[0].query)], LAYER)
    found: dict[float, CodebookPatch] = {}
    for alpha in (0.0, 0.5, 1.0):
        editor = fitted(mllm, [], radius="balanced", alpha=alpha, steps=1)
        first = editor.plan(mllm, edits[:1])
        grown = editor.extend(mllm, Made(tuple(edits[:1]), first), edits[1:])
        assert torch.equal(grown.book.radii[:1], first.book.radii)
        assert len(grown.book) == 3
        found[alpha] = first
    radii = [float(patch.book.radii) for patch in found.values()]
    assert radii[0] == pytest.approx(float((key - black).norm()))
    assert radii[1] == pytest.approx((radii[0] + radii[2]) / 2)


def test_what_lies_around_an_edit_is_made_of_it_alone(edits: list[Edit]) -> None:
    query = edits[0].query
    assert query.image is not None
    image, black = open_image(query.image), open_image(on_black(query).image or b"")
    assert (black.size, black.getextrema()) == (image.size, ((0, 0),) * 3)
    near = moved(query, 1)
    assert isinstance(near.image, PIL.Image.Image)
    assert near.image.size == image.size
    assert near.image.tobytes() != image.tobytes()
    assert near == replace(query, image=near.image)
    again = moved(query, 1).image
    assert isinstance(again, PIL.Image.Image)
    assert again.tobytes() == near.image.tobytes()
    text = Query(None, "who wrote it?", "nobody")
    assert moved(text, 1) == replace(text, prompt=f"{BEFORE}who wrote it?")
    assert on_black(text).image is not None


def test_the_same_answer_to_the_same_prompt_learns_on(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, [], radius="fixed", epsilon=1e-3, steps=5)
    once = editor.plan(mllm, edits[:1])
    twice = editor.plan(mllm, [edits[0], edits[0]])
    assert len(twice.book) == 1
    assert not torch.equal(once.book.values[0], twice.book.values[0])
    told_otherwise = editor.plan(mllm, [edits[0], replace(edits[0], target="red")])
    alone = editor.plan(mllm, [replace(edits[0], target="red")])
    assert torch.equal(told_otherwise.book.values[0], alone.book.values[0])


def test_one_after_the_other_is_all_at_once_bit_for_bit(mllm: MLLM, edits: list[Edit]) -> None:
    for options in ({"radius": "fixed", "epsilon": 50.0}, {"radius": "balanced", "value": "sequence"}):
        editor = fitted(mllm, [], steps=3, **options)
        once = editor.plan(mllm, edits)
        grown = editor.plan(mllm, edits[:1])
        grown = editor.extend(mllm, Made(tuple(edits[:1]), grown), edits[1:2])
        grown = editor.extend(mllm, Made(tuple(edits[:2]), grown), edits[2:])
        one, other = once.state(), grown.state()
        assert one.fields == other.fields
        assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def test_values_of_a_sequence_need_the_gate_that_holds() -> None:
    with pytest.raises(UserError, match="take gate prompt"):
        load_editor("grace", {"value": "sequence", "gate": "token"})
