"""The card of a dataset on disk, which may tell where its files are: only files beside it are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from huggingface_hub import RepoCard

from mmedit_build.errors import UserError
from mmedit_build.files import is_file, read_bytes

CARDS = ("README.md", ".huggingface.yaml")
"""Files that `datasets` reads such settings from."""
_PLACES = ("data_files", "data_dir")
_MOST_BYTES = 8 << 20


def check_card(folder: Path) -> None:
    """Refuse a card that sends for files of the machine, or of a network."""
    for path in (folder / name for name in CARDS):
        for name in _places(_settings(path)) if is_file(path) else ():
            if "://" in name or "::" in name or ".." in PurePosixPath(name).parts or name[:1] in ("/", "~"):
                raise UserError(
                    f"{path} names the data file {name!r}, which is not in the folder of the dataset; put "
                    "the file there, and name it by where it is in the folder."
                )


def _settings(path: Path) -> Any:
    try:
        text = read_bytes(path, _MOST_BYTES).decode()
        if path.suffix != ".md":
            return yaml.safe_load(text)
        # Their own reader, as another one might see other settings in the same card.
        return vars(RepoCard(text, ignore_metadata_errors=True).data)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"Cannot read the card {path} ({reason}); mend it, or remove it.") from error


def _places(settings: Any) -> Iterator[str]:
    """All texts of the settings that say where files are."""
    configs = settings.get("configs") if isinstance(settings, dict) else None
    for config in configs if isinstance(configs, list) else ():
        if isinstance(config, dict):
            for key in _PLACES:
                yield from _texts(config.get(key))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        yield from _texts(value.get("path"))
