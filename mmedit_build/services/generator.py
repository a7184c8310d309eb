"""Loading an image generator of diffusers: its pipeline, scheduler and textual inversions, checked early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import diffusers
import transformers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image, DiffusionPipeline, ModelMixin
from diffusers.utils import logging
from torch import nn

from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import Files, find_files
from mmedit_build.checkpoints.tokenizers import check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.errors import UserError, first_line
from mmedit_build.mllm import find_device
from mmedit_build.mllm.loading import DTYPES
from mmedit_build.recipe import ImagineStage
from mmedit_build.services.inversions import check_tokens, find_inversion, teach

IRREPRODUCIBLE = {"DPMSolverSDEScheduler"}
"""Schedulers whose noise does not come from the generators that are handed to the pipeline. Others that draw
noise at each step (the ancestral ones, DDPM) take it from each row's own generator, which makes no difference
here."""

INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
REMEDY = (
    f"give a folder written by a Stable Diffusion pipeline of diffusers (it holds {INDEX}), or the id of one "
    "on the Hub; an id needs a connection, or the model downloaded before"
)
Pipeline = Any
"""diffusers gives its pipelines no type that tells what they can do."""


def load_generator(config: ImagineStage) -> Pipeline:
    """The pipeline that the recipe names, on its device, with its scheduler and its inversions."""
    _check_settings(config)
    place = find_device(config.model.device)
    with quiet():
        pipeline = _load(config)
        if config.scheduler is not None:
            pipeline.scheduler = _scheduler(pipeline, config.scheduler)
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
    if config.strategy == "image-to-image" and int(config.steps * config.strength) < 1:
        raise UserError(
            f"Image-to-image runs the share imagine.strength of imagine.steps, and {config.strength} of "
            f"{config.steps} is less than one step: raise either."
        )
    if config.negative is not None and config.guidance <= 1:
        raise UserError(
            f"imagine.negative acts only with imagine.guidance above 1, not {config.guidance}: "
            "raise it, or leave the negative prompt out."
        )
    check_tokens(config)


def _load(config: ImagineStage) -> Pipeline:
    model, to_image = config.model, config.strategy == "image-to-image"
    auto = AutoPipelineForImage2Image if to_image else AutoPipelineForText2Image
    with told(f"an image generator for {config.strategy}", model.model, REMEDY):
        files = _files(config)
        folder = locate(model.model)
        if not Path(folder).is_dir():
            folder = str(DiffusionPipeline.download(folder, revision=model.revision, use_safetensors=True))
        parts = {name: _network(folder, name, kind, config) for name, kind in _networks(files).items()}
        pipeline = auto.from_pretrained(folder, dtype=DTYPES[model.dtype], use_safetensors=True, **parts)
        _check_reading(pipeline, model.model)
    return pipeline


def look_at(config: ImagineStage) -> None:
    """Refuse settings that cannot be painted with, and a generator whose files do not allow to load it."""
    _check_settings(config)
    find_device(config.model.device)
    with told(f"an image generator for {config.strategy}", config.model.model, REMEDY):
        _files(config)
    for inversion in config.inversions:
        find_inversion(inversion)


def _files(config: ImagineStage) -> Files:
    files = find_files(locate(config.model.model), config.model.revision, parts=True)
    if "_class_name" not in files.object(SCHEDULER):
        raise ValueError(f"its {SCHEDULER} names no scheduler")
    for name in _networks(files):
        files.check_weights(name)
    return files


def _networks(files: Files) -> dict[str, Any]:
    """The classes of the networks that a pipeline is made of, by the names of their folders."""
    kinds = {name: _kind(*value) for name, value in files.object(INDEX).items() if _is_part(value)}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, nn.Module)}


def _is_part(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _kind(library: str, name: str) -> type:
    """A class of diffusers, of transformers, or of one of diffusers' families of pipelines."""
    if library not in LIBRARIES and not hasattr(diffusers.pipelines, library):
        raise ValueError(f"{INDEX} names the library {library!r}")
    module = LIBRARIES.get(library) or getattr(diffusers.pipelines, library)
    kind: type = getattr(module, name)
    return kind


def _network(folder: str, name: str, kind: Any, config: ImagineStage) -> Any:
    # Without low_cpu_mem_usage=False diffusers asks for accelerate, model by model.
    own: dict[str, Any] = {"low_cpu_mem_usage": False} if issubclass(kind, ModelMixin) else {}
    return load_whole(kind, folder, subfolder=name, torch_dtype=DTYPES[config.model.dtype], **own)


def _check_reading(pipeline: Pipeline, name: str) -> None:
    """Refuse a tokenizer that does not know how much its text encoder reads, as is told beside its words."""
    tokenizer, encoder = getattr(pipeline, "tokenizer", None), getattr(pipeline, "text_encoder", None)
    if tokenizer is None or encoder is None:
        return
    check_tokenizer(name, tokenizer)
    check_fits(name, tokenizer, encoder)
    longest = getattr(encoder.config, "max_position_embeddings", None)
    if longest is not None and tokenizer.model_max_length > longest:
        raise UserError(
            f"The tokenizer of '{name}' allows texts of {tokenizer.model_max_length} tokens, and its text "
            f"encoder reads {longest}: copy tokenizer/tokenizer_config.json too."
        )


def _scheduler(pipeline: Pipeline, name: str) -> Any:
    usable = sorted({kind.__name__ for kind in pipeline.scheduler.compatibles} - IRREPRODUCIBLE)
    if name in IRREPRODUCIBLE:
        raise UserError(
            f"imagine.scheduler {name} draws noise that no seed of ours decides on, so that no image could "
            f"be painted again: use another, such as {usable[0]}."
        )
    if name not in usable:
        near = get_close_matches(name, usable, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(
            f"{name} is no scheduler that fits this image generator: {hint}Usable: {', '.join(usable)}."
        )
    try:
        return getattr(diffusers, name).from_config(pipeline.scheduler.config)
    except (ImportError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"imagine.scheduler {name} cannot be used here ({first_line(error)}): use another."
        ) from error
