from __future__ import annotations

import threading
from pathlib import Path

import PIL.Image
import pytest
import torch
from transformers import Blip2ForConditionalGeneration

from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query, ahead
from mmedit_build.mllm.families.pieces import Seen
from mmedit_build.mllm.features import FeatureCache
from mmedit_build.mllm.rows import Layout
from mmedit_build.pictures import Image
from tests.mmedit_build.mllm.conftest import make_image


def test_features_equal_plain_ones(
    mllm: MLLM, hf: Blip2ForConditionalGeneration, pictures: list[PIL.Image.Image], folder: str
) -> None:
    from transformers import Blip2Processor

    processor = Blip2Processor.from_pretrained(folder)
    pixels = processor.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
    expected = hf.get_image_features(pixels).pooler_output.detach()
    torch.testing.assert_close(
        torch.stack(mllm.image_features([Query(one, "") for one in pictures])), expected, rtol=0, atol=1e-5
    )


def test_each_distinct_image_is_encoded_once(mllm: MLLM, mixture: list[Query]) -> None:
    mllm.score(mixture, batch_size=2)
    assert mllm.counts.vision == 3  # four queries with an image, two of them the same
    mllm.score(mixture)
    mllm.generate(mixture, max_new_tokens=2)
    assert mllm.counts.vision == 3


def test_bytes_and_file_of_one_picture_are_one_image(
    mllm: MLLM, pictures: list[PIL.Image.Image], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    pictures[0].save(file)
    images: list[Image] = [file, file.read_bytes(), pictures[0], pictures[0].copy()]
    mllm.image_features([Query(image, "") for image in images])
    assert mllm.counts.vision == 2  # encoded and decoded forms are told apart, copies are not


def test_a_changed_connector_shows_inside_fresh_features_only(mllm: MLLM, mixture: list[Query]) -> None:
    before = mllm.score(mixture)
    weight = mllm.part("language_projection.weight")["language_projection.weight"]
    saved = weight.detach().clone()
    with torch.no_grad(), mllm.fresh_features():
        weight.mul_(-1)
        changed = mllm.score(mixture, batch_size=1)
        weight.copy_(saved)
    after = mllm.score(mixture)
    assert mllm.counts.vision == 6  # the repeated image once in each of the two rounds, however batched
    for query, old, new, again in zip(mixture, before, changed, after, strict=True):
        assert torch.equal(old.logits, again.logits)
        assert torch.allclose(old.logits, new.logits, atol=1e-3) == (query.image is None)


def test_gradients_reach_vision_and_connector_when_asked(mllm: MLLM, mixture: list[Query]) -> None:
    trained = mllm.part("vision") | mllm.part("connector")
    for parameter in trained.values():
        parameter.requires_grad_()
    mllm.score(mixture)
    assert not any(scored.logits.requires_grad for scored in mllm.logits(mixture))
    with mllm.fresh_features():
        loss = sum((scored.log_prob for scored in mllm.logits(mixture)), torch.tensor(0.0))
        assert not mllm.score(mixture)[0].logits.requires_grad
    grads = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    reached = {name for name, grad in zip(trained, grads, strict=True) if grad is not None and grad.any()}
    for name in (
        "query_tokens",
        "language_projection.weight",
        "vision_model.encoder.layers.0.mlp.fc1.weight",
    ):
        assert name in reached


def test_fresh_features_ends_after_an_exception(mllm: MLLM, pictures: list[PIL.Image.Image]) -> None:
    queries = [Query(picture, "") for picture in pictures]
    mllm.image_features(queries)
    try:
        with mllm.fresh_features(), mllm.fresh_features():
            raise RuntimeError
    except RuntimeError:
        mllm.image_features(queries)
    assert mllm.counts.vision == len(pictures)


def seen(size: int) -> Seen:
    return Seen(torch.zeros(size), Layout("<image>", (1,)))


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = FeatureCache(limit=2 * 16)
    for key in "ab":
        cache.put(key, seen(4))
    assert cache.get("a") is not None
    cache.put("c", seen(4))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None
    cache.put("huge", seen(100))
    assert cache.get("huge") is None


def test_files_are_opened_before_their_turn(
    mllm: MLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MOST", 2)
    files = [tmp_path / f"{seed}.png" for seed in range(5)]
    for seed, file in enumerate(files):
        make_image(seed).save(file)
    queries = [Query(file, "a", "tree") for file in (*files, files[0])]
    alone = [mllm.score([query])[0].logits for query in queries]
    with mllm.fresh_features():
        together = mllm.score(queries, batch_size=2)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.logits, other, rtol=0, atol=1e-5)
    assert not [one for one in threading.enumerate() if one.name.startswith("images")]


def test_a_broken_file_is_told_and_ends_the_thread(mllm: MLLM, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, file in enumerate(files):
        make_image(seed).save(file)
    files[1].write_bytes(files[1].read_bytes()[:200])
    with pytest.raises(UserError, match=r"1\.png"):
        mllm.score([Query(file, "a", "tree") for file in files])
    assert not [one for one in threading.enumerate() if one.name.startswith("images")]
    assert len(mllm.score([Query(file, "a", "tree") for file in files[::2]])) == 2


def test_what_is_kept_of_an_image_is_the_same_in_any_company() -> None:
    """Down to the last bit, so that what goes on after a kill gives the numbers of what was not killed."""
    pictures = [make_image(number) for number in range(17)]
    queries = [Query(picture, "what is this?") for picture in pictures]
    together = miniature().image_features(queries)
    for size in (1, 2, 5, 9, 16):
        mllm = miniature()
        parts = [queries[start : start + size] for start in range(0, len(queries), size)]
        found = [one for part in parts for one in mllm.image_features(part)]
        assert all(torch.equal(one, other) for one, other in zip(found, together, strict=True))
    assert mllm.counts.vision == len(queries)


def miniature() -> MLLM:
    return MLLM.load(locate("miniature/mllm"), device="cpu")
