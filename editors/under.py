"""What lies under the patches that are applied."""

from __future__ import annotations

from typing import cast

from editors.base import Model, Overlay, unwrapped
from editors.served import Served
from mmedit_build.mllm import MLLM


def mllm_of(model: Model) -> MLLM:
    """The MLLM under all overlays; a served model in its place for editors that only ask, see `served`."""
    while isinstance(model, Overlay):
        model = model.under
    # Of a served model it is asked nothing else: `check_asking` refuses other editors.
    return cast("MLLM", model) if isinstance(model, Served) else unwrapped(model)
