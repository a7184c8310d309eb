"""What was found in a checkpoint, for people to look at before they use it."""

from __future__ import annotations

from dataclasses import dataclass

from mmedit_build.mllm.families import known_families
from mmedit_build.mllm.loading import load_family
from mmedit_build.mllm.model import MLLM
from mmedit_build.mllm.query import Query
from mmedit_build.mllm.rendering import CHECKPOINT, IMAGE, PROMPT, Template
from mmedit_build.mllm.selfcheck import check, small_picture


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint as the project sees it."""

    model_type: str
    family: str
    known: bool
    """Whether the type has a file of its own."""
    dtype: str
    parts: dict[str, int]
    """Numbers of parameters by part; what belongs to none is not counted."""
    layers: int
    linears: dict[str, tuple[int, ...]]
    """Shapes (out, in) of the linear modules in the first layer's MLP, by their names in the model."""
    picture: tuple[int, int]
    """Width and height of a test picture in pixels."""
    image_tokens: int
    """The positions that it takes in a row."""
    template: str
    """A question with an image as it is rendered."""
    text_template: str
    """One without."""
    ends: tuple[str, ...]
    """Tokens that end an answer."""
    difference: float
    """Of layers run by themselves from the model's own forward, as a share of the largest logit."""


def look_into(
    name: str, *, revision: str | None = None, dtype: str = "auto", template: str = CHECKPOINT
) -> Found:
    """Load a checkpoint folder or Hub id on the CPU, and say what is in it."""
    family = load_family(name, revision=revision, device="cpu", dtype=dtype, template=template)
    mllm, picture = MLLM(family, name), small_picture()
    difference = check(mllm, family)
    (row,) = mllm.rows([Query(picture, "")])
    kind = str(family.config.model_type)
    return Found(
        model_type=kind,
        family=type(family).__name__,
        known=kind in known_families(),
        dtype=str(mllm.dtype).removeprefix("torch."),
        parts={part: sum(one.numel() for one in mllm.part(part).values()) for part in family.parts},
        layers=mllm.n_layers,
        linears={one.name: tuple(one.module.weight.shape) for one in mllm.mlp(0).linears},
        picture=picture.size,
        image_tokens=len(row.image),
        template=_written(family.templates.image, with_image=True),
        text_template=_written(family.templates.text, with_image=False),
        ends=tuple(str(mllm.tokenizer.convert_ids_to_tokens(one)) for one in mllm.stop_ids),
        difference=difference,
    )


def _written(template: Template, *, with_image: bool) -> str:
    """As users write templates; where it does not say where the image stands, that is before all."""
    ahead = IMAGE if with_image and IMAGE not in template.before else ""
    return f"{ahead}{template.before}{PROMPT}{template.after}"
