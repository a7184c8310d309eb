"""What is known of a method besides its scores: told by its editor and by the patches that it plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from editors.areas import Area, area, joined, preserves
from editors.base import Edit, Editor, Learner, Patch
from mmedit_build.mllm import MLLM


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts that a report gives without the model."""

    family: str
    batch: bool
    """Whether it makes several edits at once."""
    preserves: bool = True
    """Whether the model's parameters stayed as they were while any of its patches acted."""
    area: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """What all its patches touched, and in which decoder layers."""
    learned: int | None = None
    """How many numbers it keeps of what it learned; None if it does not learn."""


@dataclass
class Witness:
    """An editor whose patches are looked at as they are planned."""

    editor: Editor
    about: About

    @classmethod
    def of(cls, editor: Editor, earlier: About | None) -> Witness:
        """Of an editor that has learned; `earlier` is what is known of it from before."""
        learned = None
        if isinstance(editor, Learner):
            learned = sum(tensor.numel() for tensor in editor.fitted().tensors.values())
        about = About(family=editor.family, batch=editor.batch, learned=learned)
        return cls(editor, about if earlier is None else _grown(earlier, about))

    def plan(self, mllm: MLLM, edits: Sequence[Edit]) -> Patch:
        patch = self.editor.plan(mllm, edits)
        found = About(
            family=self.about.family,
            batch=self.about.batch,
            preserves=preserves(patch),
            area=dict(area(patch, mllm)),
            learned=self.about.learned,
        )
        self.about = _grown(self.about, found)
        return patch


def _grown(before: About, now: About) -> About:
    """Of more patches."""
    areas: list[Area] = [before.area, now.area]
    return About(
        family=now.family,
        batch=now.batch,
        preserves=before.preserves and now.preserves,
        area=dict(joined(areas)),
        learned=now.learned,
    )
