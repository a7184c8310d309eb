"""The columns of the published tables, as `datasets` describes them."""

from __future__ import annotations

import pyarrow as pa
from datasets import Features, Image

from mmedit_build.columns import COLUMNS, HOPS, IMAGE, REVIEW, SOURCE_IMAGE


def features(config: str, *, embedded: bool, extended: bool = False, reviewed: bool = False) -> Features:
    """The columns of a configuration; without embedded source images, those are only named. What follows from
    edits has columns only where the stage extend was run, and what people say where they were asked."""
    left_out = {
        *(() if embedded else (SOURCE_IMAGE,)),
        *(() if extended else HOPS),
        *(() if reviewed else (REVIEW,)),
    }
    columns = {name: kind for name, kind in COLUMNS[config].items() if name not in left_out}
    described = Features.from_arrow_schema(pa.schema(list(columns.items())))
    return Features({name: Image() if columns[name] == IMAGE else kind for name, kind in described.items()})


def image_columns(config: str, *, embedded: bool) -> tuple[str, ...]:
    """The columns of a configuration that hold images."""
    return tuple(
        name for name, kind in features(config, embedded=embedded).items() if isinstance(kind, Image)
    )
