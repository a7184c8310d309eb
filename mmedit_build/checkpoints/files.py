"""What can be told of a checkpoint from its files, before any weights are read."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from safetensors import SafetensorError, safe_open

from mmedit_build.errors import UserError, first_line

CONFIG = "config.json"
WEIGHTS_SUFFIX = ".safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
PATIENCE = 10.0
"""Seconds for the Hub to say which files it has."""
INDEX = ".safetensors.index.json"
"""How the file ends that tells which tensor lies in which of several files."""
OBJECTS = (
    CONFIG,
    "generation_config.json",
    "model_index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "scheduler_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""Files that hold a JSON object in every checkpoint that has them."""


@dataclass(frozen=True, slots=True)
class Files:
    """A checkpoint in a folder, or as much of it as was taken from the Hub: its small files."""

    name: str
    """The folder or id that was asked for."""
    folder: Path
    names: frozenset[str]
    """Of all files that the checkpoint has, relative to the folder."""

    def object(self, name: str) -> dict[str, Any]:
        """The JSON object that a small file holds."""
        try:
            content = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError as error:
            raise FileNotFoundError(f"it holds no {name}") from error
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or "it is not JSON"
            raise UserError(
                f"Cannot read {name} of the checkpoint '{self.name}' ({reason}): copy it whole."
            ) from error
        if not isinstance(content, dict):
            raise UserError(
                f"{name} of the checkpoint '{self.name}' holds no JSON object: copy the checkpoint whole."
            )
        return content

    def check_model(self, kinds: Container[str]) -> None:
        """Refuse what is no model of one of these types, or has no whole weights in safetensors."""
        kind = self.object(CONFIG).get("model_type")
        if kind not in kinds:
            raise ValueError(f"it holds a model of type {kind!r}")
        self.check_weights()

    def check_weights(self, part: str = "") -> None:
        """Refuse a checkpoint, or the folder `part` of one, without whole weights in safetensors."""
        place = self.name if not part else f"{self.name}/{part}"
        inside = {name for name in self.names if _folder_of(name) == part}
        weights = sorted(name for name in inside if name.endswith(WEIGHTS_SUFFIX))
        if not weights:
            pickled = sorted(name for name in inside if name.endswith(PICKLED))
            found = f"only {pickled[0]}, and pickled weights can run code" if pickled else "no weights"
            raise UserError(
                f"The checkpoint '{place}' holds {found}: give one with weights in {WEIGHTS_SUFFIX} files, "
                "as save_pretrained writes them."
            )
        for name in weights:
            _check_header(self.folder / name, self.name)
        for name in sorted(name for name in inside if name.endswith(INDEX)):
            self._check_index(name, part)

    def _check_index(self, name: str, part: str) -> None:
        listed = self.object(name).get("weight_map")
        if not isinstance(listed, dict):
            raise UserError(f"{name} of the checkpoint '{self.name}' has no weight_map: copy it whole.")
        prefix = f"{part}/" if part else ""
        if lacking := sorted({str(file) for file in listed.values() if f"{prefix}{file}" not in self.names}):
            raise UserError(f"The checkpoint '{self.name}' lacks {prefix}{lacking[0]}: copy it whole.")


def find_files(folder: str, revision: str | None = None, *, parts: bool = False) -> Files:
    """The files of a checkpoint, the small ones being sound; with `parts` also those in the folders in it."""
    path = Path(folder)
    if path.is_dir():
        names = _names(path)
    elif folder.startswith((".", "/", "~")) or folder.count("/") > 1:
        # The Hub would be said to dislike the id, which it is not.
        raise FileNotFoundError("there is no such folder")
    else:
        path, names = _from_hub(folder, revision)
    found = Files(folder, path, names)
    for name in sorted(names):
        if Path(name).name in OBJECTS and (parts or not _folder_of(name)):
            found.object(name)
    return found


def _from_hub(name: str, revision: str | None) -> tuple[Path, frozenset[str]]:
    folder = Path(snapshot_download(name, revision=revision, allow_patterns=["*.json"]))
    try:
        found = HfApi().model_info(name, revision=revision, timeout=PATIENCE).siblings or []
    except Exception:
        # Whatever it is called, there is no connection, but what was downloaded before.
        return folder, _names(folder)
    return folder, frozenset(file.rfilename for file in found)


def _names(folder: Path) -> frozenset[str]:
    """Files in a folder and in the folders in it."""
    found: Sequence[Path] = [*folder.glob("*"), *folder.glob("*/*")]
    return frozenset(path.relative_to(folder).as_posix() for path in found if path.is_file())


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _check_header(path: Path, name: str) -> None:
    """Refuse a file that was cut off or is something else; one that is not downloaded yet may be whole."""
    if not path.exists():
        return
    try:
        with safe_open(path, "pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path.name} of the checkpoint '{name}' is no complete {WEIGHTS_SUFFIX} file "
            f"({first_line(error)}): copy it whole."
        ) from error
