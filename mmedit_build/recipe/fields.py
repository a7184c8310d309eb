"""What the sections of a recipe have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field

Share = Annotated[float, Field(ge=0, le=1)]
MOST = 10**9
"""More than anybody waits for, and still a number that every library takes."""
Count = Annotated[int, Field(ge=1, le=MOST)]
Whole = Annotated[int, Field(ge=0, le=MOST)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
"""What can be the name of a folder, and be shown anywhere as it is."""
Precision = Literal["float32", "float16", "bfloat16"]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
"""auto is bfloat16 on CUDA and float32 elsewhere."""
CHECKPOINT, RAW = "checkpoint", "raw"
"""Templates by name: that of the checkpoint, and that of published code."""


class Strict(BaseModel):
    """A section of a recipe. The text under each field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def by_kind(default: str, *others: str, rest: str | None = None) -> Discriminator:
    """Chooses among sections by their `kind`, which may be left out for the usual one.

    With `rest`, that is the section of every kind that is none of these.
    """

    def kind(value: Any) -> str:
        found = value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", default)
        return str(found) if rest is None or found in (default, *others) else rest

    return Discriminator(kind)
