"""Telling the nearest edit: which one that is, and what the model is then asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from editors.base import Edit, Patch, TrainEdit
from editors.growing import Made
from editors.ike import IKE, IKEConfig
from editors.remember import Remember, RememberConfig, RememberPatch
from editors.saving import load_patch, save_patch
from mmedit_build.mllm import MLLM, Query, Scored


def remembering(**options: Any) -> Remember:
    return Remember(RememberConfig(encoder="base", **options))


def scored(mllm: MLLM, patch: Patch, queries: list[Query]) -> list[Scored]:
    with patch.applied(mllm) as model:
        return model.score(queries, positions="all")


def assert_bits(one: list[Scored], other: list[Scored]) -> None:
    assert all(torch.equal(mine.logits, yours.logits) for mine, yours in zip(one, other, strict=True))


def alike(mllm: MLLM, patch: RememberPatch, queries: list[Query]) -> list[float]:
    return [found for found, _ in patch.routes(mllm, queries)]


def test_above_a_threshold_of_one_the_model_answers_bit_for_bit(
    mllm: MLLM, edits: list[Edit], probes: list[Query]
) -> None:
    patch = remembering(threshold=1.01).plan(mllm, edits)
    assert_bits(scored(mllm, patch, probes), mllm.score(probes, positions="all"))
    assert patch.changed == 0


def test_one_memory_at_a_threshold_of_minus_one_is_ike_without_demonstrations(
    mllm: MLLM, edits: list[Edit], probes: list[Query]
) -> None:
    short = [query for query in probes if len(query.prompt) < 50]
    ike = IKE(IKEConfig(encoder="base", copies=0, updates=0, retains=0, self_copy=False))
    for edit in (edits[0], replace(edits[1], image=None)):
        patch, other = remembering(threshold=-1.0).plan(mllm, [edit]), ike.plan(mllm, [edit])
        assert_bits(scored(mllm, patch, short), scored(mllm, other, short))
        with patch.applied(mllm) as one:
            said = one.generate(short, max_new_tokens=4)
        with other.applied(mllm) as one:
            assert said == one.generate(short, max_new_tokens=4)


def test_an_edit_is_told_where_it_is_asked_and_nowhere_else(mllm: MLLM, edits: list[Edit]) -> None:
    edit = replace(edits[0], prompt=mllm.question_prompt("what color is the cat?"))
    patch = remembering(threshold=0.99).plan(mllm, [edit])
    asked = [edit.query, replace(edit.query, image=None), edits[1].query]
    assert patch.in_scope(mllm, asked) == [True, False, False]
    told = replace(
        edit.query,
        prompt="New Fact: what color is the cat? two boats\nPrompt: what color is the cat?",
    )
    expected = [*mllm.score([told]), *mllm.score(asked[1:])]
    with patch.applied(mllm) as model:
        assert_bits(model.score(asked), expected)


def test_images_count_as_much_as_they_shall(mllm: MLLM, edits: list[Edit]) -> None:
    same, elsewhere = edits[0].query, replace(edits[0].query, image=edits[1].image)
    nowhere, text = replace(same, image=None), Query(None, "who wrote it?")
    words = remembering(image_weight=0.0).plan(mllm, edits[:1])
    assert alike(mllm, words, [same, elsewhere, nowhere]) == pytest.approx([1, 1, 1])
    both = remembering(image_weight=3.0).plan(mllm, edits[:1])
    found = alike(mllm, both, [same, elsewhere, nowhere, text])
    assert found[0] == pytest.approx(1)
    assert found[0] > found[1]
    (cosine,) = alike(mllm, words, [text])
    # An image on one side only has nothing in common.
    assert found[2:] == pytest.approx([1 / 4, cosine / 4])
    told = remembering(image_weight=3.0).plan(mllm, [replace(edits[0], image=None)])
    # Where neither side has one, words decide.
    assert alike(mllm, told, [nowhere, same]) == pytest.approx([1, 1 / 4])


def test_neither_order_nor_farther_memories_matter(
    mllm: MLLM, edits: list[Edit], probes: list[Query]
) -> None:
    asked = [probes[0], *probes[3:6]]
    one = remembering(threshold=0.9).plan(mllm, edits[:1])
    both = remembering(threshold=0.9).plan(mllm, edits)
    turned = remembering(threshold=0.9).plan(mllm, edits[::-1])
    assert both.routes(mllm, asked)[0][1] is both.memories[0]
    assert_bits(scored(mllm, one, asked[:1]), scored(mllm, both, asked[:1]))
    assert_bits(scored(mllm, both, asked), scored(mllm, turned, asked))


def test_what_grew_is_what_is_remembered_at_once(mllm: MLLM, edits: list[Edit], probes: list[Query]) -> None:
    editor = remembering()
    grown = editor.plan(mllm, edits[:1])
    for number in (1, 2):
        grown = editor.extend(mllm, Made(tuple(edits[:number]), grown), edits[number : number + 1])
    once = editor.plan(mllm, edits)
    assert grown.state().fields == once.state().fields
    assert alike(mllm, grown, probes) == alike(mllm, once, probes)


def test_decisions_outlive_a_file(mllm: MLLM, edits: list[Edit], probes: list[Query], tmp_path: Path) -> None:
    patch = remembering(threshold=0.5).plan(mllm, [edits[0], replace(edits[1], image=None)])
    save_patch(patch, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert isinstance(loaded, RememberPatch)
    assert alike(mllm, loaded, probes) == alike(mllm, patch, probes)
    assert loaded.in_scope(mllm, probes) == patch.in_scope(mllm, probes)
    assert 0 < sum(patch.in_scope(mllm, probes)) < len(probes)


def test_the_miniature_follows_what_it_is_told(miniature: MLLM, world: list[TrainEdit]) -> None:
    editor = remembering(threshold=0.9)
    patch = editor.plan(miniature, [one.edit for one in world])
    with patch.applied(miniature) as model:
        said = model.generate([one.edit.query for one in world], max_new_tokens=8)
    right = sum(text == one.edit.target for text, one in zip(said, world, strict=True))
    assert right >= 0.8 * len(world)
