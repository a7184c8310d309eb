"""Edits that come one after the other: what is made so far, and how an editor adds to it.

What it means to add differs by method, and decides what a step costs:

- Memories grow (SERAC, T-Patcher, VisEdit, DualEdit, LiveEdit), and so do sums (KE, MEND, KN). A patch that
  grew is that of all edits at once: what is added does not depend on what is there, or does so within one
  `plan` too (T-Patcher).
- Weights move on (FT, MEMIT, AlphaEdit, UltraEdit, CaliNET, ROME): a step starts where the one before it
  ended, as these methods are run in publications. Of ROME, whose `plan` does so by itself, it is the patch of
  all edits at once.
- Anything else (IKE) is planned anew for all edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from editors.base import Edit, Editor, Model, Patch


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Edits in their order, at least one, and the patch that makes them."""

    edits: tuple[Edit, ...]
    patch: Patch


@runtime_checkable
class Growing(Protocol):
    """An editor that can add to a patch of its own. Others plan anew."""

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> Patch:
        """A patch that makes these edits besides those that are made.

        `model` is the one that the first edit was planned for: the patch of `made` is not applied to it. It
        stays bit for bit, and so does that patch.
        """


def grow(editor: Editor, model: Model, made: Made | None, edits: Sequence[Edit]) -> Made:
    """What is made once these edits are, too."""
    if made is None:
        return Made(tuple(edits), editor.plan(model, edits))
    together = (*made.edits, *edits)
    if isinstance(editor, Growing):
        return Made(together, editor.extend(model, made, edits))
    return Made(together, editor.plan(model, together))
