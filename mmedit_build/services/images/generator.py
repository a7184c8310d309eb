"""Loading an image generator of diffusers: its pipeline, scheduler and textual inversions, checked early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import diffusers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image
from diffusers.utils import logging

from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.weights import told
from mmedit_build.errors import UserError, first_line, hint
from mmedit_build.mllm import find_device
from mmedit_build.mllm.loading import DTYPES
from mmedit_build.recipe import ImagineStage
from mmedit_build.services.images.inversions import check_tokens, find_inversion, teach
from mmedit_build.services.images.parts import INDEX, Parts, find_parts

IRREPRODUCIBLE = {"DPMSolverSDEScheduler"}
"""Schedulers whose noise does not come from the generators that are handed to the pipeline. Others that draw
noise at each step (the ancestral ones, DDPM) take it from each row's own generator, which makes no difference
here."""

REMEDY = (
    f"give a folder written by a Stable Diffusion pipeline of diffusers (it holds {INDEX}), or the id of one "
    "on the Hub; an id needs a connection, or the model downloaded before"
)
Pipeline = Any
"""diffusers gives its pipelines no type that tells what they can do."""


def load_generator(config: ImagineStage) -> Pipeline:
    """The pipeline that the recipe names, on its device, with its scheduler and its inversions."""
    place = find_device(config.model.device)
    with quiet():
        pipeline = _load(config)
        if config.scheduler is not None:
            pipeline.scheduler = _scheduler(pipeline.scheduler, config.scheduler)
        for inversion in config.inversions:
            teach(pipeline, inversion, config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(place)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars of diffusers and its notes on prompts and safety, of which each row keeps its own."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def image_size(pipeline: Pipeline, config: ImagineStage) -> tuple[int, int]:
    """Width and height to paint in: the recipe's, else the checkpoint's own."""
    native = _native_size(pipeline) if config.width is None or config.height is None else (0, 0)
    size = (config.width or native[0], config.height or native[1])
    unit = pipeline.vae_scale_factor
    if any(side % unit for side in size):
        raise UserError(
            f"The image generator paints in blocks of {unit} pixels, so imagine.width and imagine.height "
            f"must be multiples of {unit}, not {size[0]} x {size[1]}."
        )
    return size


def _native_size(pipeline: Pipeline) -> tuple[int, int]:
    """In pixels. Newer pipelines say it themselves, older ones leave it to their U-Net."""
    if hasattr(pipeline, "default_sample_size"):
        sample = pipeline.default_sample_size
    else:
        sample = pipeline.unet.config.sample_size if hasattr(pipeline, "unet") else None
    if sample is None:
        raise UserError("This image generator has no size of its own: set imagine.height and imagine.width.")
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return width * pipeline.vae_scale_factor, height * pipeline.vae_scale_factor


def _check_settings(config: ImagineStage) -> None:
    weakest = min(config.strengths)
    if config.strategy == "image-to-image" and int(config.steps * weakest) < 1:
        raise UserError(
            f"Image-to-image runs the shares imagine.strengths of imagine.steps, and {weakest} of "
            f"{config.steps} is less than one step: raise either."
        )
    if config.negative is not None and config.guidance <= 1:
        raise UserError(
            f"imagine.negative acts only with imagine.guidance above 1, not {config.guidance}: "
            "raise it, or leave the negative prompt out."
        )
    check_tokens(config)


def look_at(config: ImagineStage) -> Parts:
    """What a generator consists of, refused if its files or the settings do not allow to paint with it."""
    _check_settings(config)
    find_device(config.model.device)
    with _told(config):
        parts = find_parts(locate(config.model.model), config.model.revision)
        parts.check()
        own = parts.scheduler()
    if config.scheduler is not None:
        _scheduler(own, config.scheduler)
    for inversion in config.inversions:
        find_inversion(inversion)
    return parts


def _told(config: ImagineStage) -> AbstractContextManager[None]:
    return told(f"an image generator for {config.strategy}", config.model.model, REMEDY)


def _load(config: ImagineStage) -> Pipeline:
    parts, dtype = look_at(config), DTYPES[config.model.dtype]
    to_image = config.strategy == "image-to-image"
    auto = AutoPipelineForImage2Image if to_image else AutoPipelineForText2Image
    with _told(config):
        folder, networks = parts.load(dtype)
        return auto.from_pretrained(folder, dtype=dtype, use_safetensors=True, **networks)


def _scheduler(own: Any, name: str) -> Any:
    """The scheduler of that name, set as the checkpoint's own is."""
    usable = sorted({kind.__name__ for kind in own.compatibles} - IRREPRODUCIBLE)
    if name in IRREPRODUCIBLE:
        raise UserError(
            f"imagine.scheduler {name} draws noise that no seed of ours decides on, so that no image could "
            f"be painted again: use another, such as {usable[0]}."
        )
    if name not in usable:
        raise UserError(
            f"{name} is no scheduler that fits this image generator{hint(name, usable)} "
            f"Usable: {', '.join(usable)}."
        )
    try:
        return getattr(diffusers, name).from_config(own.config)
    except (ImportError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"imagine.scheduler {name} cannot be used here ({first_line(error)}): use another."
        ) from error
