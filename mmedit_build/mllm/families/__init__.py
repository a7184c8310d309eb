"""One file per model family; `base.Family` says what such a file has to provide."""

from __future__ import annotations

FAMILIES = {"blip-2": "mmedit_build.mllm.families.blip2:Blip2"}
"""`model_type` of a checkpoint's config.json to the class that knows it, imported when it is needed."""
