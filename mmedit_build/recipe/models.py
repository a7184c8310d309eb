"""Models named by a recipe: run in this process, or served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, Tag

from mmedit_build.recipe.fields import CHECKPOINT, Count, Dtype, Precision, Strict, Whole, by_kind


class _Here(Strict):
    """What all models have that run in this process."""

    kind: Literal["local"] = "local"
    model: str
    """A bundled checkpoint (`miniature/...`), a folder, or an id on the Hub."""
    revision: str | None = None
    """Commit, tag or branch on the Hub. Pin it: ids and their contents change."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    batch_size: Count = 32
    """Rows that go through the model at a time."""


class Local(_Here):
    """A chat model or an image generator that runs in this process."""

    dtype: Precision = "float32"
    """Precision of the weights."""


class LocalMLLM(_Here):
    """A multimodal model that runs in this process."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:N, mps, or all: every GPU together, for a model that is too large for one."""
    dtype: Dtype = "auto"
    """Precision of the weights; auto is bfloat16 on CUDA and float32 elsewhere."""
    template: str = CHECKPOINT
    """What stands around a question: `checkpoint` is the checkpoint's chat template, `plain` the image with
    the question after it, `raw` what published code has; or a text with {image} and {prompt}."""
    image_processor: dict[str, Any] = Field(default_factory=dict)
    """Settings of the image processor in the place of the checkpoint's, such as `size`: where the number of
    tokens depends on the image, they bound it."""


class Price(Strict):
    """What a served model costs, for estimates and for the ceiling."""

    input: float = Field(ge=0)
    """Per million tokens of the request."""
    output: float = Field(ge=0)
    """Per million tokens of the reply."""
    currency: str = "USD"
    """For the estimate's text only."""


class Endpoint(Strict):
    """A model behind an OpenAI-compatible HTTP server."""

    kind: Literal["endpoint"] = "endpoint"
    model: str
    """The name that the server knows the model by."""
    base_url: str = "https://api.openai.com/v1"
    """Where the server is, including /v1."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; it may be unset for servers that want none."""
    concurrency: Count = 8
    """Requests that each worker has under way at the same time."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Requests that all workers together begin in a minute, on whatever machines they are; left out, as many
    as `concurrency` lets each of them."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds after which a request is tried again."""
    retries: Whole = 6
    """How often a request is tried again after a rate limit, a server's error or a cut connection."""
    price: Price | None = None
    """Needed for an estimate of the cost and for `max_cost`."""
    max_cost: float | None = Field(default=None, ge=0)
    """Ceiling for what this work folder may spend on this endpoint; no request is sent beyond it."""


def devices_of(*sections: BaseModel | None) -> list[str]:
    """The devices that models of some sections are told to run on; served ones have none."""
    return [
        device for section in sections if section is not None for device in _devices(section.model_dump())
    ]


def _devices(value: object) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key == "device":
            yield inner
        yield from _devices(inner)


Model = Annotated[Annotated[Local, Tag("local")] | Annotated[Endpoint, Tag("endpoint")], by_kind("local")]
"""A chat model."""
VisionModel = Annotated[
    Annotated[LocalMLLM, Tag("local")] | Annotated[Endpoint, Tag("endpoint")], by_kind("local")
]
"""A model that is asked about images."""
