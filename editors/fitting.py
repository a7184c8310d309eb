"""What learning editors learned, kept on disk under a key of everything that it depends on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from editors.base import Editor, Learner, TrainEdit
from editors.keys import code_key, data_key, model_key
from editors.saving import read_state, write_state
from mmedit_build.files import is_file
from mmedit_build.mllm import MLLM
from mmedit_build.storage.copies import removed
from mmedit_build.store import locked

VERSION = 1
"""Raised when the same configuration would be learned otherwise."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the fitted state lies, how long it took to learn, and whether that was done before.

    Of a fit that went on from an interrupted one, `seconds` is the time of the last part.
    """

    path: Path
    seconds: float
    cached: bool


def ensure_fitted(
    name: str,
    editor: Editor,
    mllm: MLLM,
    data: tuple[Sequence[TrainEdit], Sequence[TrainEdit]],
    *,
    cache: Path,
    advance: Callable[[int], None],
) -> Fit | None:
    """Fit an editor on (train, validation), or take up what it learned before; None if it does not learn."""
    if not isinstance(editor, Learner):
        return None
    path = cache / f"{name}-{fit_key(name, editor, mllm, data)[:24]}.safetensors"
    if not is_file(path):
        with _alone(path.with_suffix(".work"), name) as work:
            # Another command may have been faster.
            if not is_file(path):
                return _fit(name, editor, path, lambda: editor.fit(mllm, *data, work=work, advance=advance))
    # A command that was killed after its last step leaves what it learned from.
    _forget(path.with_suffix(".work"))
    state, _ = read_state(path)
    editor.restore(mllm, state)
    return Fit(path, float(str(state.fields["seconds"])), cached=True)


def _fit(name: str, editor: Learner, path: Path, learn: Callable[[], None]) -> Fit:
    start = time.perf_counter()
    learn()
    seconds = time.perf_counter() - start
    state = editor.fitted()
    write_state(path, replace(state, fields={**state.fields, "seconds": seconds}), f"fitted {name}")
    _forget(path.with_suffix(".work"))
    return Fit(path, seconds, cached=False)


def _forget(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    removed(work)


@contextmanager
def _alone(work: Path, name: str) -> Iterator[Path]:
    """The folder of an unfinished fit, which one command at a time may go on with."""
    with locked(work, f"Another command is training {name} in {work}; wait for it, then run this one again."):
        try:
            yield work
        finally:
            if work.is_dir() and not any(work.iterdir()):
                work.rmdir()


def fit_key(
    name: str, editor: Editor, mllm: MLLM, data: tuple[Sequence[TrainEdit], Sequence[TrainEdit]]
) -> str:
    """A digest of the method, its whole configuration, the model and the data."""
    fields = [VERSION, name, editor.config.model_dump(mode="json"), model_key(mllm), *map(data_key, data)]
    if (code := code_key(editor)) is not None:
        fields.append(code)
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
