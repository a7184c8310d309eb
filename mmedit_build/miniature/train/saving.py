"""Checkpoints as they are committed: half precision on disk, full precision once loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Save a model in half precision, with a config by which `from_pretrained` computes in full precision."""
    model.half().save_pretrained(folder)
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        if "dtype" in part:
            part["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n")
