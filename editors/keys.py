"""Names for what is kept on disk: digests of the models and of the data it was made from."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from pathlib import Path

import torch

from editors.base import Editor, TrainEdit
from editors.saving import is_ours
from editors.served import Served
from mmedit_build.mllm import MLLM, Query
from mmedit_build.pictures import image_key

SAMPLED = 4096
"""How many numbers of each parameter are looked at; all of a large model would take minutes to read."""


def model_key(mllm: MLLM | Served) -> str:
    """A digest of an unedited model: all that decides about its answers, and a sample of every parameter; of
    a served model, its name and address and how it is asked."""
    digest = hashlib.sha256(json.dumps(mllm.identity, sort_keys=True, default=str).encode())
    if isinstance(mllm, Served):
        return digest.hexdigest()
    for name, parameter in mllm.model.named_parameters():
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, len(flat) // SAMPLED)].cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype} ".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def code_key(editor: Editor) -> str | None:
    """A digest of the file with an editor that is not ours: none of its authors raises a version of ours."""
    if is_ours(type(editor)):
        return None
    source = inspect.getsourcefile(type(editor))
    return None if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()


def data_key(edits: Iterable[TrainEdit]) -> str:
    """A digest of train edits in their order, with the contents of their images."""
    digest = hashlib.sha256()
    for edit in edits:
        locality = (*edit.text_locality, None, *edit.image_locality)
        queries = (edit.edit.query, edit.text_rephrase, edit.image_rephrase, *locality)
        fields = [edit.edit.id, edit.edit.subject, *map(query_fields, queries)]
        digest.update(f"{json.dumps(fields)}\n".encode())
    return digest.hexdigest()


def query_fields(query: Query | None) -> list[str | None] | None:
    """All that a query says, with a digest of its image."""
    if query is None:
        return None
    image = None if query.image is None else image_key(query.image)
    return [image, query.prompt, query.target, query.form]
