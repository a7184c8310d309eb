"""Painting images with text-to-image and image-to-image pipelines in the manner of Stable Diffusion."""

from __future__ import annotations

import inspect
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from mmedit_build.errors import UserError, first_line
from mmedit_build.pictures import Image, open_image
from mmedit_build.recipe import ImagineStage
from mmedit_build.services.images.generator import Pipeline, image_size, load_generator, quiet

FLAGGED = "flagged as unsafe"
NOT_NUMBERS = "not made of numbers"
BLACK = "black"
ONE_COLOR = "of one color"
UNREADABLE_SOURCE = "the original cannot be read"

DARKEST = 8
"""The brightest value of a pixel (of 255) in an image that counts as black."""
SPREAD = 2
"""The most by which pixels differ in an image that counts as being of one color."""


@dataclass(frozen=True, slots=True)
class PaintJob:
    """An image to paint. Image-to-image needs a source and a strength, text-to-image ignores them."""

    prompt: str
    seed: int
    source: Image | None = None
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class Painted:
    """An image as the bytes of a PNG."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NotPainted:
    """Why there is no image that could be used."""

    reason: str


class Painter:
    """An image generator with the settings of a recipe.

    Each image has a CPU generator of its own, so that its noise depends on its seed alone. Where it stands in
    which batch still changes its last bits, since numbers are then added in another order: the same jobs with
    the same software give the same bytes.
    """

    def __init__(self, pipeline: Pipeline, config: ImagineStage) -> None:
        self.pipeline = pipeline
        self._config = config
        self._size = image_size(pipeline, config)

    @classmethod
    def open(cls, config: ImagineStage) -> Painter:
        return cls(load_generator(config), config)

    def paint(self, jobs: Sequence[PaintJob]) -> list[Painted | NotPainted]:
        """An image for each job, in order, in batches of the recipe's size and of equal strength.

        A source is painted over as a whole: it is squeezed into the generator's size, and the image is then
        stretched to the proportions of the source.
        """
        results: list[Painted | NotPainted] = [NotPainted(UNREADABLE_SOURCE)] * len(jobs)
        sources = [self._source(job) for job in jobs]
        ready = [index for index, source in enumerate(sources) if not isinstance(source, NotPainted)]
        for part in self._parts(ready, jobs):
            painted = self._batch([jobs[index] for index in part], [sources[index] for index in part])
            for index, result in zip(part, painted, strict=True):
                results[index] = result
        return results

    def _parts(self, ready: Sequence[int], jobs: Sequence[PaintJob]) -> Iterator[list[int]]:
        """Batches: a pipeline takes one strength for all that it paints at a time."""
        batch = self._config.model.batch_size
        for strength in dict.fromkeys(jobs[index].strength for index in ready):
            alike = [index for index in ready if jobs[index].strength == strength]
            yield from (alike[start : start + batch] for start in range(0, len(alike), batch))

    def tokens_cut(self, prompt: str) -> int:
        """How many tokens at its end the text encoder does not read; diffusers drops them without a word."""
        tokenizer = self.pipeline.tokenizer
        if hasattr(self.pipeline, "maybe_convert_prompt"):
            prompt = self.pipeline.maybe_convert_prompt(prompt, tokenizer)
        number: int = len(tokenizer(prompt, verbose=False).input_ids) - tokenizer.model_max_length
        return max(0, number)

    def _source(self, job: PaintJob) -> Pillow.Image | NotPainted | None:
        if self._config.strategy == "text-to-image":
            return None
        if job.source is None or job.strength is None:
            raise ValueError("image-to-image needs a source and a strength")
        try:
            return open_image(job.source)
        except UserError:
            return NotPainted(UNREADABLE_SOURCE)

    def _batch(self, jobs: Sequence[PaintJob], sources: Sequence[Any]) -> list[Painted | NotPainted]:
        arguments = self._arguments(jobs, sources)
        with quiet():
            try:
                output = self.pipeline(**arguments)
            except torch.OutOfMemoryError as error:
                raise UserError(
                    f"The image generator ran out of memory with {len(jobs)} images at a time: set "
                    "imagine.model.batch_size lower."
                ) from error
            # Whatever diffusers stumbles over in parts that are sound and do not fit each other.
            except Exception as error:
                raise UserError(
                    f"The image generator '{self._config.model.model}' loads but cannot paint "
                    f"({first_line(error) or type(error).__name__}): copy all its files again."
                ) from error
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(jobs)
        return [
            NotPainted(FLAGGED) if flag else _finished(pixels, source)
            for flag, pixels, source in zip(flags, output.images, sources, strict=True)
        ]

    def _arguments(self, jobs: Sequence[PaintJob], sources: Sequence[Any]) -> dict[str, Any]:
        config, (width, height) = self._config, self._size
        arguments: dict[str, Any] = {
            "prompt": [job.prompt for job in jobs],
            "num_inference_steps": config.steps,
            "guidance_scale": config.guidance,
            "generator": [torch.Generator("cpu").manual_seed(job.seed) for job in jobs],
            # Not Pillow's images: in these, what is not a number would have become black.
            "output_type": "np",
        }
        if config.negative is not None:
            arguments["negative_prompt"] = [config.negative] * len(jobs)
        if config.strategy == "image-to-image":
            arguments["image"] = [source.resize(self._size, Pillow.Resampling.LANCZOS) for source in sources]
            arguments["strength"] = jobs[0].strength
        # Some image-to-image pipelines take their size from the source alone.
        if "height" in inspect.signature(self.pipeline.__call__).parameters:
            arguments |= {"height": height, "width": width}
        return arguments


def _finished(pixels: NDArray[np.float32], source: Pillow.Image | None) -> Painted | NotPainted:
    """The image (height x width x colors, from 0 to 1) as a file, unless something is wrong with it."""
    if not np.isfinite(pixels).all():
        return NotPainted(NOT_NUMBERS)
    levels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    if levels.max() <= DARKEST:
        return NotPainted(BLACK)
    if np.ptp(levels, axis=(0, 1)).max() <= SPREAD:
        return NotPainted(ONE_COLOR)
    image = Pillow.fromarray(levels)
    if source is not None:
        image = image.resize(_proportioned(image.size, source.size), Pillow.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG")
    return Painted(file.getvalue())


def _proportioned(size: tuple[int, int], source: tuple[int, int]) -> tuple[int, int]:
    """A size of the same area with the proportions of the source."""
    area, ratio = size[0] * size[1], source[0] / source[1]
    return max(1, round(math.sqrt(area * ratio))), max(1, round(math.sqrt(area / ratio)))
