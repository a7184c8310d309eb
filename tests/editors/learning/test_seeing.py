"""Gradients and patches of what images go through, against autograd, on the tiny random BLIP-2 in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import PIL.Image
import pytest
import torch
from torch import Tensor

from editors.base import Edit
from editors.learning.hypernetworks import EditedPart, edited
from editors.learning.seeing import scored_apart, seeing_gradients
from editors.losses import target_nll
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]

PARTS: tuple[EditedPart, ...] = ("connector", "vision")


@pytest.fixture
def exact(folder: str) -> MLLM:
    """The tiny model in float64."""
    mllm = MLLM.load(folder, device="cpu")
    mllm.model.double()
    return mllm


@pytest.fixture
def queries(edits: Sequence[Edit], pictures: Sequence[PIL.Image.Image]) -> list[Query]:
    """On different images and on equal ones, which are equal files or the same object."""
    one, two, three = (edit.query for edit in edits)
    copy = pictures[0].copy()
    return [one, two, replace(one, prompt="a photo of", image=copy), three, one, replace(two, image=copy)]


def as_picture(query: Query) -> PIL.Image.Image:
    assert isinstance(query.image, PIL.Image.Image)
    return query.image


def names(mllm: MLLM, part: EditedPart) -> list[str]:
    return list(edited(mllm, (), part))


def autograd(mllm: MLLM, query: Query, weights: Sequence[str]) -> list[Tensor]:
    parameters = [mllm.model.get_parameter(name).requires_grad_(True) for name in weights]
    with torch.enable_grad(), mllm.fresh_features():
        found = torch.autograd.grad(target_nll(mllm.logits([query])).sum(), parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    return list(found)


def noise(mllm: MLLM, part: EditedPart, seed: int) -> LowRankPatch:
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return 0.3 * torch.randn(*size, generator=generator, dtype=torch.float64)

    return LowRankPatch(
        {
            name: Factors(draw(out, 2).requires_grad_(True), draw(2, into))
            for name, (out, into) in edited(mllm, (), part).items()
        }
    )


def test_the_connector_is_edited_as_published_and_vision_like_the_language_model(mllm: MLLM) -> None:
    assert edited(mllm, (-1,), "connector") == {
        f"qformer.encoder.layer.{layer}.output_query.dense.weight": (24, 48) for layer in (0, 1)
    }
    assert edited(mllm, (-1,), "vision") == {
        f"vision_model.encoder.layers.{layer}.mlp.{name}.weight": shape
        for layer in (0, 1)
        for name, shape in {"fc1": (48, 24), "fc2": (24, 48)}.items()
    }


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("grad", [True, False])
def test_the_rows_of_each_edit_sum_up_to_its_gradient(
    exact: MLLM, queries: list[Query], part: EditedPart, grad: bool
) -> None:
    before = Snapshot(exact)
    # What is remembered of the images must not be taken, nor anything be left to be remembered.
    kept = [one.logits for one in exact.score(queries)]
    with torch.set_grad_enabled(grad):
        found = seeing_gradients(exact, queries, names(exact, part))
    before.assert_unchanged(exact)
    assert all(
        torch.equal(*pair) for pair in zip(kept, (o.logits for o in exact.score(queries)), strict=True)
    )
    for query, rows in zip(queries, found, strict=True):
        assert list(rows) == names(exact, part)
        gradients = autograd(exact, query, list(rows))
        for pair, gradient in zip(rows.values(), gradients, strict=True):
            assert gradient.abs().max() > 1e-4
            # Losses are taken in float32, and so are their gradients by the logits.
            torch.testing.assert_close(pair.deltas.mT @ pair.inputs, gradient, rtol=1e-5, atol=1e-8)
            assert not pair.deltas.requires_grad


def test_each_image_goes_through_once_for_each_edit(mllm: MLLM, queries: list[Query]) -> None:
    before = mllm.counts.vision
    seeing_gradients(mllm, queries, names(mllm, "connector"))
    assert mllm.counts.vision - before == len(queries)


@pytest.mark.parametrize("part", ["vision", "connector"])
@pytest.mark.parametrize(
    "name", ["instructblip", "llava_next", "qwen2_5_vl", "qwen3_vl", "internvl", "smolvlm"]
)
def test_images_in_tiles_and_without_batches(
    zoo: Zoo, edits: list[Edit], name: str, part: EditedPart
) -> None:
    """Towers that see the patches of all images in one row, or as many tiles as an image has."""
    mllm = MLLM.load(zoo(name), device="cpu")
    sizes = [(48, 16), (16, 16), (20, 44)]
    queries = [
        replace(edit.query, image=as_picture(edit.query).resize(size))
        for edit, size in zip(edits, sizes, strict=True)
    ]
    # How this one lies in a row is known before, so that it would be encoded after the others.
    mllm.rows(queries[:1])
    weights = names(mllm, part)
    for query, rows in zip(queries, seeing_gradients(mllm, queries, weights), strict=True):
        for pair, gradient in zip(rows.values(), autograd(mllm, query, weights), strict=True):
            found = pair.deltas.mT @ pair.inputs
            assert float((found - gradient).norm()) < 1e-4 * float(gradient.norm())


def test_an_edit_without_image_is_told(mllm: MLLM) -> None:
    with pytest.raises(UserError, match="'who wrote the book\\?' has no image: edit the part `language`"):
        seeing_gradients(mllm, [Query(None, "who wrote the book?", "a")], names(mllm, "vision"))


@pytest.mark.parametrize("part", PARTS)
def test_each_query_is_scored_under_the_patch_of_its_owner(
    exact: MLLM, queries: list[Query], part: EditedPart
) -> None:
    patches = [noise(exact, part, seed) for seed in range(3)]
    owners = [2, 0, 0, 1, 0, 2]
    plain = exact.score(queries)
    found = scored_apart(exact, patches, queries, owners, ["target"] * len(queries))
    for query, owner, one, unedited in zip(queries, owners, found, plain, strict=True):
        with patches[owner].applied(exact) as model:
            (expected,) = model.score([query])
        torch.testing.assert_close(one.logits, expected.logits, rtol=1e-6, atol=1e-6)
        assert (one.logits - unedited.logits).abs().max() > 1e-3
        assert torch.equal(one.target_ids, expected.target_ids)


@pytest.mark.parametrize("part", PARTS)
def test_gradients_flow_into_the_factors_of_each_patch_alone(
    exact: MLLM, queries: list[Query], part: EditedPart
) -> None:
    before = Snapshot(exact)
    patches = [noise(exact, part, seed) for seed in range(2)]
    lefts = [next(iter(patch.factors.values())).left for patch in patches]
    found = scored_apart(exact, patches, queries, [0, 1, 1, 0, 1, 0], ["target"] * 6)
    before.assert_unchanged(exact)
    mine = target_nll([found[i] for i in (0, 3, 5)]).sum()
    slopes: tuple[Tensor | None, ...] = torch.autograd.grad(mine, lefts, allow_unused=True)
    assert slopes[0] is not None
    assert slopes[1] is None
    left = lefts[0]
    sides = []
    for step in (1e-2, -2e-2):
        with torch.no_grad():
            left[3, 1] += step
            again = scored_apart(exact, patches, [queries[i] for i in (0, 3, 5)], [0, 0, 0], ["target"] * 3)
            sides.append(float(target_nll(again).sum()))
    assert float(slopes[0][3, 1]) == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=0.02, abs=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_half_precision_is_widened(folder: str, edits: list[Edit], part: EditedPart) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    for rows in seeing_gradients(mllm, [edits[0].query], names(mllm, part))[0].values():
        assert rows.inputs.dtype == rows.deltas.dtype == torch.float32
        assert len(rows)
