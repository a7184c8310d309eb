"""Who watches what becomes known of a method: what its editor tells, and the patches that it plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

from editors.areas import joined
from editors.base import Editor, Leaking, Learner, Patch, Whole
from evaluation.results.about import About
from mmedit_build.mllm import MLLM


@dataclass
class Witness:
    """Grows what is known of a method with each patch that it is shown."""

    mllm: MLLM
    about: About

    @classmethod
    def of(cls, editor: Editor, mllm: MLLM) -> Witness:
        """For an editor that has learned."""
        learned = None
        if isinstance(editor, Learner):
            learned = sum(tensor.numel() for tensor in editor.fitted().tensors.values())
        leaks = isinstance(editor, Leaking) and editor.leaks
        whole = isinstance(editor, Whole)
        about = About(family=editor.family, batch=editor.batch, learned=learned, leaks=leaks, whole=whole)
        return cls(mllm, about)

    def see(self, patch: Patch) -> None:
        self.about = replace(
            self.about,
            preserves=self.about.preserves and patch.preserves,
            area=dict(joined([self.about.area, patch.touched(self.mllm)])),
        )
