"""What the tests of the contract share: cases of editors, and what a model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from editors import load_editor
from editors.base import Edit, Editor, Learner, TrainEdit
from editors.checking.duties import logits_of as answers
from mmedit_build.mllm import MLLM, Query

__all__ = ["Case", "answers", "assert_equal", "assert_takes_in_any_order", "fitted", "of"]


@dataclass(frozen=True)
class Case:
    """An editor with options for a tiny model; `gain` is what an edit must add to log p(target)."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    gain: float = 1.0

    @property
    def title(self) -> str:
        """The editor, and the part of the model that it edits if it is told one."""
        return f"{self.name} {self.options.get('part', '')}".strip()


def fitted(
    case: Case, mllm: MLLM, train: Sequence[TrainEdit], validation: Sequence[TrainEdit], folder: Path
) -> Editor:
    """The editor of a case; what it leaves behind while it learns goes into the folder."""
    editor = load_editor(case.name, case.options)
    if isinstance(editor, Learner):
        editor.fit(mllm, train, validation, work=folder / "work", advance=lambda _: None)
    return editor


def of(one: TrainEdit) -> list[Query]:
    """The edit and all its probes."""
    rephrases = [query for query in (one.text_rephrase, one.image_rephrase) if query is not None]
    return [one.edit.query, *rephrases, *one.text_locality, *one.image_locality]


def assert_equal(one: list[Tensor], other: list[Tensor]) -> None:
    assert len(one) == len(other)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def assert_takes_in_any_order(editor: Editor, mllm: MLLM, edits: Sequence[Edit]) -> None:
    """A batch of edits makes all of them, whichever is named first."""
    queries = [one.query for one in edits]
    with editor.plan(mllm, edits).applied(mllm) as model:
        one = model.score(queries)
    with editor.plan(mllm, edits[::-1]).applied(mllm) as model:
        other = model.score(queries)
    for first, second, before in zip(one, other, mllm.score(queries), strict=True):
        torch.testing.assert_close(first.logits, second.logits, rtol=0, atol=1e-2)
        assert first.log_prob > before.log_prob + 1
