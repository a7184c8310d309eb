"""Editing from Python: a model that is edited inside a block, and as it was after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from editors import load_editor
from editors.base import Edit, Editor, Learner, Model, TrainEdit
from editors.fitting import ensure_fitted
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


@contextmanager
def edit(
    model: MLLM,
    wishes: Edit | Sequence[Edit],
    method: str | Editor = "ft",
    *,
    options: Mapping[str, object] | None = None,
    train: Sequence[TrainEdit] = (),
    cache: Path = Path("runs/cache"),
) -> Iterator[Model]:
    """Inside, the model yielded makes the edits; afterwards, also after an error, all is as before.

    Methods that learn do so from `train` first, of which the last tenth validates, and keep what they learned
    in `cache`; `evaluation.api.train_edits` makes them of a dataset.
    """
    editor = load_editor(method, options) if isinstance(method, str) else method
    if isinstance(editor, Learner):
        _learn(editor, method if isinstance(method, str) else type(editor).__name__, model, train, cache)
    patch = editor.plan(model, [wishes] if isinstance(wishes, Edit) else list(wishes))
    with patch.applied(model) as edited:
        yield edited


def _learn(editor: Editor, name: str, model: MLLM, train: Sequence[TrainEdit], cache: Path) -> None:
    if len(train) < 2:
        raise UserError(f"{name} learns from other edits before it makes one; give some as `train`.")
    held_out = max(1, len(train) // 10)
    parts = (train[:-held_out], train[-held_out:])
    ensure_fitted(name, editor, model, parts, cache=cache / "fitted", advance=lambda _: None)
