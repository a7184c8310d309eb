"""What converters share: reading tensors as they were published, and writing a folder whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mmedit_build.checkpoints.files import WEIGHTS_SUFFIX, Files, find_files
from mmedit_build.errors import UserError, first_line, shortened
from mmedit_build.store import REMEDY, check_writable


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; they are read from the disk where they are looked at."""
    try:
        found: Any = (
            load_file(path)
            if path.suffix == WEIGHTS_SUFFIX
            else torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        )
    except Exception as error:  # Whatever is not a file of tensors fails in a way of its own.
        raise UserError(
            f"{path} is not a file of tensors that torch can read without running code "
            f"({type(error).__name__}): give the file as it was published."
        ) from error
    inner = found.get("model", found) if isinstance(found, Mapping) else {}
    return {name: one for name, one in inner.items() if isinstance(one, Tensor)}


def folder_files(folder: Path) -> Files:
    """The files of a checkpoint folder; ids of the Hub are none."""
    if not folder.is_dir():
        raise FileNotFoundError("there is no such folder")
    return find_files(str(folder))


def weight_files(files: Files) -> list[Path]:
    """The files of a checkpoint that hold its tensors, in safetensors if there are such."""
    for suffix in (WEIGHTS_SUFFIX, ".bin"):
        found = sorted(name for name in files.names if name.endswith(suffix) and "/" not in name)
        for index in (name for name in files.names if name.endswith(f"{suffix}.index.json")):
            listed = {str(one) for one in files.object(index)["weight_map"].values()}
            if found and (lacking := sorted(listed - set(found))):
                raise ValueError(f"it lacks {lacking[0]}")
        if found:
            return [files.folder / name for name in found]
    raise ValueError("it holds no weights")


def filled(kind: Any, config: Any, tensors: Mapping[str, Tensor], name: str) -> Any:
    """A model of that class, which holds exactly these tensors; `name` is what it is called."""
    with torch.device("meta"):
        model = kind(config)
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:
        # The first line says only that there were errors.
        reason = shortened(str(error).partition("\n")[2] or str(error))
        raise UserError(f"The files do not make a {name} ({reason}): give the files as published.") from error
    if missing or unexpected:
        raise UserError(
            f"The files do not make a {name}: {len(missing)} tensors are missing and {len(unexpected)} "
            f"are too many, such as {next(iter([*missing, *unexpected]))}; give the files as published."
        )
    return model


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_new(out: Path) -> None:
    """Refuse a place for a checkpoint that is taken, or that takes no files."""
    check_writable(out)
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: give a new folder.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which takes its place when all is in it, and is gone if that fails."""
    check_new(out)
    place = out.absolute()
    partial = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(place)
    except (OSError, SafetensorError) as error:
        raise UserError(f"Cannot write {out} ({first_line(error)}); {REMEDY}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
