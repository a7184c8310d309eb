"""Painting with the bundled image generator, and with what is wrong with images, schedulers and words."""

from __future__ import annotations

import io
import logging.handlers
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.utils import logging as diffusers_logging
from numpy.typing import NDArray
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from mmedit_build.recipe import ImagineStage, Local
from mmedit_build.services.images.painter import (
    BLACK,
    FLAGGED,
    NOT_NUMBERS,
    ONE_COLOR,
    UNREADABLE_SOURCE,
    NotPainted,
    Painted,
    Painter,
    PaintJob,
)
from mmedit_build.work import Work

PROMPT = "a red car and a small tree on the grass"


def settings(**changes: Any) -> ImagineStage:
    model = Local(model="miniature/diffusion", device="cpu", batch_size=4)
    return ImagineStage(**{"model": model, "steps": 4, "guidance": 2.0, **changes})


@pytest.fixture(scope="module")
def sources(drawn: Work) -> list[Path]:
    return sorted((drawn.sources / "images" / "val2014").glob("*.jpg"))


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter.open(settings())


@pytest.fixture
def own_painter() -> Painter:
    """One whose parts a test may break."""
    return Painter.open(settings())


def pixels(result: Painted | NotPainted) -> NDArray[np.int16]:
    assert isinstance(result, Painted)
    return np.asarray(PIL.Image.open(io.BytesIO(result.data)), dtype=np.int16)


def difference(one: Painted | NotPainted, other: Painted | NotPainted) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


def jobs(sources: list[Path], number: int) -> list[PaintJob]:
    return [PaintJob(PROMPT, seed, source, 0.5) for seed, source in enumerate(sources[:number])]


# What is painted


def test_the_same_jobs_give_the_same_bytes(painter: Painter, sources: list[Path]) -> None:
    first = painter.paint(jobs(sources, 6))
    assert painter.paint(jobs(sources, 6)) == first
    assert all(isinstance(one, Painted) for one in first)


def test_an_image_depends_on_its_own_seed_wherever_it_stands(painter: Painter, sources: list[Path]) -> None:
    together = painter.paint(jobs(sources, 6))
    for job, painted in zip(jobs(sources, 6)[3:], together[3:], strict=True):
        (alone,) = painter.paint([job])
        assert difference(alone, painted) < 0.5
    (reseeded,) = painter.paint([PaintJob(PROMPT, 99, sources[3], 0.5)])
    assert difference(reseeded, together[3]) > 2


def test_image_to_image_stays_nearer_to_its_source_than_to_others(
    painter: Painter, sources: list[Path]
) -> None:
    originals = [np.asarray(PIL.Image.open(path).convert("RGB"), dtype=np.int16) for path in sources[:4]]
    for index, painted in enumerate(painter.paint(jobs(sources, 4))):
        distances = [float(np.abs(pixels(painted) - original).mean()) for original in originals]
        assert int(np.argmin(distances)) == index


def test_a_source_is_kept_whole_and_keeps_its_proportions(painter: Painter) -> None:
    wide = PIL.Image.new("RGB", (200, 100), "navy")
    wide.paste("white", (150, 0, 200, 100))
    (painted,) = painter.paint([PaintJob("a white thing", 1, wide, 0.5)])
    shown = pixels(painted)
    assert shown.shape == (45, 91, 3)
    assert shown[:, -8:].mean() > shown[:, :40].mean() + 40


def test_text_to_image_needs_no_source_and_takes_the_size_of_the_recipe() -> None:
    painter = Painter.open(settings(strategy="text-to-image", height=64, width=128))
    (painted,) = painter.paint([PaintJob(PROMPT, 1)])
    assert pixels(painted).shape == (64, 128, 3)


def test_image_to_image_takes_the_size_of_the_recipe(sources: list[Path]) -> None:
    painter = Painter.open(settings(height=96, width=96))
    assert pixels(painter.paint(jobs(sources, 1))[0]).shape == (96, 96, 3)


def test_half_precision_paints_nearly_the_same(painter: Painter, sources: list[Path]) -> None:
    model = Local(model="miniature/diffusion", device="cpu", dtype="bfloat16", batch_size=4)
    (half,) = Painter.open(settings(model=model)).paint(jobs(sources, 1))
    (whole,) = painter.paint(jobs(sources, 1))
    assert 0 < difference(half, whole) < 5


def test_an_unreadable_source_costs_only_its_own_row(
    painter: Painter, sources: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(sources[1].read_bytes()[:300])
    files = (sources[0], broken, sources[2])
    asked = [PaintJob(PROMPT, seed, file, 0.5) for seed, file in enumerate(files)]
    first, middle, last = painter.paint(asked)
    assert middle == NotPainted(UNREADABLE_SOURCE)
    assert [first, last] == painter.paint([asked[0], asked[2]])


def test_strengths_are_painted_apart_and_come_back_in_order(painter: Painter, sources: list[Path]) -> None:
    asked = [
        PaintJob(PROMPT, seed, sources[seed], strength) for seed, strength in enumerate((0.5, 1.0, 0.5, 1.0))
    ]
    painted = painter.paint(asked)
    assert [painted[0], painted[2]] == painter.paint([asked[0], asked[2]])
    assert [painted[1], painted[3]] == painter.paint([asked[1], asked[3]])
    weaker = painter.paint([replace(one, strength=0.5) for one in asked])
    assert painted[0] == weaker[0]
    assert painted[1] != weaker[1]


def test_image_to_image_without_a_source_is_a_bug(painter: Painter) -> None:
    with pytest.raises(ValueError, match="needs a source"):
        painter.paint([PaintJob(PROMPT, 0)])


def test_nothing_to_paint(painter: Painter) -> None:
    assert painter.paint([]) == []


# What is no image


def fill_last_layer(painter: Painter, value: float) -> None:
    """Let the decoder give the same number everywhere."""
    layer = painter.pipeline.vae.decoder.conv_out
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(value)


@pytest.mark.parametrize(("value", "reason"), [(-1.0, BLACK), (float("nan"), NOT_NUMBERS), (0.3, ONE_COLOR)])
def test_failed_images_are_not_painted(
    own_painter: Painter, sources: list[Path], value: float, reason: str
) -> None:
    fill_last_layer(own_painter, value)
    assert own_painter.paint(jobs(sources, 2)) == [NotPainted(reason)] * 2


def test_infinite_pixels_are_not_painted(own_painter: Painter, sources: list[Path]) -> None:
    """What one of them overflows to; the pipeline would have cut it to white."""
    fill_last_layer(own_painter, float("inf"))
    (result,) = own_painter.paint(jobs(sources, 1))
    assert isinstance(result, NotPainted)


def make_checker(threshold: float) -> StableDiffusionSafetyChecker:
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = tiny | {"image_size": 32, "patch_size": 16}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(vision_config=vision, text_config=tiny, projection_dim=8)
    )
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(2.0)
    return checker


@pytest.mark.parametrize(("threshold", "flagged"), [(-2.0, True), (2.0, False)])
def test_the_checkers_flag_counts_more_than_the_image(
    own_painter: Painter, sources: list[Path], tmp_path: Path, threshold: float, flagged: bool
) -> None:
    """The checker is saved with the checkpoint, and loaded with it without being asked for."""
    pipeline = own_painter.pipeline
    extractor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pipeline.register_modules(safety_checker=make_checker(threshold), feature_extractor=extractor)
    pipeline.save_pretrained(tmp_path)
    model = Local(model=str(tmp_path), device="cpu")
    results = Painter.open(settings(model=model)).paint(jobs(sources, 2))
    assert [result == NotPainted(FLAGGED) for result in results] == [flagged, flagged]
    assert flagged or all(isinstance(result, Painted) for result in results)


# Prompts


def test_tokens_beyond_the_text_encoder_are_counted(painter: Painter) -> None:
    assert painter.tokens_cut(PROMPT) == 0
    long = " and ".join([PROMPT] * 5)
    cut = painter.tokens_cut(long)
    assert cut > 0
    assert painter.tokens_cut(f"{long} red") == cut + 1


def test_painting_is_quiet_and_leaves_the_logging_of_diffusers_as_it_was(
    painter: Painter, sources: list[Path]
) -> None:
    level, bars = diffusers_logging.get_verbosity(), diffusers_logging.is_progress_bar_enabled()
    said = logging.handlers.BufferingHandler(1000)
    logging.getLogger("diffusers").addHandler(said)
    try:
        painter.paint([PaintJob(" and ".join([PROMPT] * 5), 1, sources[0], 0.5)])
    finally:
        logging.getLogger("diffusers").removeHandler(said)
    assert said.buffer == []
    assert (diffusers_logging.get_verbosity(), diffusers_logging.is_progress_bar_enabled()) == (level, bars)
