"""What is known of a method besides its scores: told by its editor and by the patches that it plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from editors.areas import joined
from editors.base import Editor, Leaking, Learner, Patch, Whole
from mmedit_build.mllm import MLLM


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts that a report gives without the model."""

    family: str
    batch: bool
    """Whether it makes several edits at once."""
    learned: int | None = None
    """How many numbers it keeps of what it learned; None if it does not learn."""
    preserves: bool = True
    """Whether the parameters of the model stay as they are where any of its patches acts."""
    leaks: bool = False
    """Whether it is a published variant that is shown the answers that are scored."""
    whole: bool = False
    """Whether one patch makes all edits that are judged, whatever number at once is asked for."""
    area: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """What its patches touch, and in which decoder layers; see `editors.areas`."""

    def with_what_was_known(self, earlier: About | None) -> About:
        """This, with what other patches of the method showed."""
        if earlier is None:
            return self
        area = dict(joined([earlier.area, self.area]))
        return replace(self, preserves=self.preserves and earlier.preserves, area=area)


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
