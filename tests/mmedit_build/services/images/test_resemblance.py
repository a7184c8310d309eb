"""Cosines of texts and images: the bundled CLIP, and a SigLIP made on the spot."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from transformers import AutoTokenizer, SiglipConfig, SiglipModel, SiglipProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from mmedit_build import recipe
from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError
from mmedit_build.miniature.captions import describe
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.world import scenes
from mmedit_build.services.images.resemblance import BATCH, Resemblance

LONGEST = 24


def opened(model: str) -> Resemblance:
    return Resemblance.open(recipe.Resemblance(model=model, least=0.0), "cpu")


@pytest.fixture(scope="module")
def pictures() -> list[tuple[str, PIL.Image.Image]]:
    """Captions and their drawings, more than fit one batch."""
    rng = random.Random(0)
    return [(describe(scene, rng), draw(scene, seed)) for seed, scene in scenes("resemblance", BATCH + 8)]


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("siglip")
    tokenizer = AutoTokenizer.from_pretrained(locate("miniature/clip"))
    tiny = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tiny | {"vocab_size": len(tokenizer), "max_position_embeddings": LONGEST, "projection_size": 16}
    vision = tiny | {"image_size": 32, "patch_size": 16}
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    images = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    # As with many real checkpoints, the tokenizer does not know how long a text may be.
    tokenizer.model_max_length = int(1e30)
    SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def test_true_captions_fit_better_than_others(pictures: list[tuple[str, PIL.Image.Image]]) -> None:
    clip = opened("miniature/clip")
    captions, images = (list(part) for part in zip(*pictures, strict=True))
    true = clip.text_image(captions, images)
    other = clip.text_image(captions, images[1:] + images[:1])
    assert len(true) == BATCH + 8
    assert all(-1 <= cosine <= 1 for cosine in [*true, *other])
    assert sum(a > b for a, b in zip(true, other, strict=True)) >= 0.9 * len(true)


def test_a_cosine_does_not_depend_on_its_neighbors_or_on_how_the_image_is_given(
    pictures: list[tuple[str, PIL.Image.Image]], tmp_path: Path
) -> None:
    clip = opened("miniature/clip")
    (caption, image), (longer, other) = pictures[:2]
    path = tmp_path / "image.png"
    image.save(path)
    together = clip.text_image([caption, f"{longer} and {longer}"], [image, other])
    assert clip.text_image([caption], [path]) == pytest.approx(together[:1], abs=1e-5)
    assert clip.text_image([caption], [path.read_bytes()]) == pytest.approx(together[:1], abs=1e-5)


def test_siglip_reads_texts_padded_to_its_longest(
    siglip: Path, pictures: list[tuple[str, PIL.Image.Image]]
) -> None:
    captions, images = (list(part) for part in zip(*pictures[:3], strict=True))
    expected = by_hand(siglip, captions, images, "max_length")
    assert opened(str(siglip)).text_image(captions, images) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(by_hand(siglip, captions, images, "longest"), abs=1e-5)


def by_hand(folder: Path, captions: list[str], images: list[Any], padding: str) -> list[float]:
    model, processor = SiglipModel.from_pretrained(folder).eval(), SiglipProcessor.from_pretrained(folder)
    inputs = processor(
        text=captions,
        images=images,
        padding=padding,
        max_length=LONGEST,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        output = model(**inputs)
    cosines: list[float] = (output.text_embeds * output.image_embeds).sum(-1).tolist()
    return cosines


@pytest.mark.parametrize("model", ["miniature/clip", "siglip"])
def test_texts_that_are_too_long_are_cut(
    model: str, siglip: Path, pictures: list[tuple[str, PIL.Image.Image]]
) -> None:
    tested = opened(str(siglip) if model == "siglip" else model)
    caption, image = pictures[0]
    (cosine,) = tested.text_image([" and ".join([caption] * 20)], [image])
    assert -1 <= cosine <= 1


def test_nothing_to_compare() -> None:
    assert opened("miniature/clip").text_image([], []) == []


@pytest.mark.parametrize("model", ["/nowhere/at/all", "miniature/mllm", "miniature/chat"])
def test_what_is_no_such_model_is_told_in_a_sentence(model: str) -> None:
    with pytest.raises(UserError, match="give the folder or the Hub id of a CLIP or SigLIP model"):
        opened(model)


def test_an_image_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot read"):
        opened("miniature/clip").text_image(["a cat"], [tmp_path / "missing.png"])


@pytest.mark.parametrize("model", ["clip", "siglip"])
def test_vectors_are_those_that_cosines_are_of(
    model: str, siglip: Path, pictures: list[tuple[str, PIL.Image.Image]]
) -> None:
    matcher = opened("miniature/clip" if model == "clip" else str(siglip))
    texts, images = zip(*pictures, strict=True)
    vectors = zip(matcher.text_vectors(texts), matcher.image_vectors(images), strict=True)
    found = [float(text @ image) for text, image in vectors]
    assert found == pytest.approx(matcher.text_image(texts, images), abs=1e-5)
    assert len(found) > BATCH
