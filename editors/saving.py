"""Patches and fitted editors as files: tensors in safetensors, all else as JSON in its header, no pickle."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from editors.base import Editor, Patch, State
from mmedit_build.errors import UserError
from mmedit_build.files import open_file
from mmedit_build.store import write_atomic

OURS = "editors"
"""A file may name classes of this package and of that of the editor at work: no file decides what code
is run."""


def is_ours(kind: type) -> bool:
    """Whether a class is of mmedit."""
    return _package(kind.__module__) == OURS


def _package(module: str) -> str:
    return module.partition(".")[0]


def save_patch(patch: Patch, path: Path) -> None:
    """Write a patch to one file."""
    kind = type(patch)
    write_state(path, patch.state(), f"{kind.__module__}:{kind.__qualname__}")


def kept_bytes(patch: Patch) -> int:
    """How much there is to keep of a patch."""
    state = patch.state()
    fields = json.dumps(state.fields, ensure_ascii=False).encode()
    return sum(tensor.nbytes for tensor in state.tensors.values()) + len(fields)


def load_patch(path: Path, device: torch.device | None = None, editor: Editor | None = None) -> Patch:
    """The patch that `save_patch` wrote, on a device or in main memory; it is ours or the editor's."""
    state, kind = read_state(path)
    if device is not None:
        state = replace(state, tensors={name: one.to(device) for name, one in state.tensors.items()})
    module, _, name = kind.partition(":")
    try:
        if _package(module) not in {OURS, _package(type(editor).__module__)}:
            raise ImportError(f"{module} is not of this package")
        found = cast("type[Patch]", getattr(importlib.import_module(module), name))
        return found.from_state(state)
    except (ImportError, AttributeError, KeyError) as error:
        raise UserError(f"{path} holds no patch: give a file that save_patch wrote.") from error


def write_state(path: Path, state: State, kind: str) -> None:
    """Write a state to one file; `kind` says what it is of."""
    # Cloned, as safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.tensors.items()}
    metadata = {"kind": kind, "fields": json.dumps(state.fields, ensure_ascii=False)}
    write_atomic(path, to_bytes(tensors, metadata))


def read_state(path: Path) -> tuple[State, str]:
    """A state and what it is of."""
    try:
        # Looked at before, as the library would wait for a pipe, and keep even Ctrl-C waiting.
        open_file(path).close()
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Cloned, as tensors in a file lie at any address, and what does not lie as fresh tensors do is
            # summed in another order: results would differ in their last bits.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no mapping
            state = State(tensors, json.loads(header["fields"]))
            return state, header["kind"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"Cannot read {path}: it is no state of an editor or patch, or not whole.") from error
