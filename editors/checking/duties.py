"""What every editor has to keep to, whatever it does: a sentence for each duty that it fails in."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from editors.base import Edit, Editor, Model, Patch, State
from editors.checking.leaks import NEW_TOKENS, find_leaks
from editors.checking.snapshot import Snapshot
from editors.checking.swaps import swaps
from editors.saving import read_state, save_patch
from mmedit_build.errors import UserError, shortened
from mmedit_build.mllm import MLLM, Query

NEAR, COARSE = 1e-4, 0.03
"""How far logits may be apart that are computed in another way: in float32, and in half precision as a share
of the largest one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A duty, and how it is failed; None if it is kept."""

    duty: str
    failure: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """An editor that has learned, an edit for it to make, and what is asked afterwards."""

    mllm: MLLM
    editor: Editor
    edit: Edit
    probes: Sequence[Query]
    """With their targets; what is asked of the edit itself is among them."""
    others: Sequence[Edit] = ()
    """Further edits, to be made together with this one."""
    seed: int = 0

    def plan(self, *edits: Edit) -> Patch:
        torch.manual_seed(self.seed)
        return self.editor.plan(self.mllm, edits or [self.edit])


def check(trial: Trial) -> list[Checked]:
    """All duties in their order. An edit that the editor refuses is its UserError, and no breach."""
    before = Snapshot(trial.mllm)
    plain = logits_of(trial.mllm, trial.probes)
    patch = trial.plan()
    # Copied, as editors may share with their patches what they remember.
    planned = deepcopy(patch.state())
    moved = _moved(trial.mllm, before)
    first = _asked(trial, patch)
    queries = swaps(trial.mllm, trial.probes, [trial.edit.target])
    leaks = cache(lambda: find_leaks(trial.mllm, patch, queries))
    duties: dict[str, Callable[[], str | None]] = {
        "planning leaves the model bit for bit as it was": lambda: moved,
        "undo is exact": lambda: _moved(trial.mllm, before) or _differ(plain, trial.mllm, trial.probes),
        "the same patch answers the same again": lambda: _again(trial, patch, first),
        "swap test: predictions do not depend on the target to come": lambda: leaks().logits,
        "swap test: what is chosen or looked up does not depend on it": lambda: leaks().routes,
        "swap test: free answers do not depend on it": lambda: leaks().answers,
        "planned again, it is the same patch": lambda: _planned_again(trial, planned),
        "written to a file and read, it answers the same": lambda: _saved(trial, patch, first),
        "work below its first layer can be reused": lambda: _reused(trial, patch),
        "nothing is carried from a prompt to what is written after it": lambda: _written_apart(trial, patch),
        "several edits are made together, or refused": lambda: _together(trial),
        # Last, as the others would be asked of another model if it is not.
        "undo is exact after an error": lambda: _undone(trial, patch, before),
    }
    return [Checked(duty, _failure(look)) for duty, look in duties.items()]


def _failure(look: Callable[[], str | None]) -> str | None:
    try:
        return look()
    except Exception as error:  # whatever an editor does wrong, the other duties are looked at, too
        return f"{type(error).__name__}: {shortened(str(error))}"


def logits_of(model: Model, queries: Sequence[Query]) -> list[Tensor]:
    return [one.logits for one in model.score(queries)]


def _asked(trial: Trial, patch: Patch) -> list[Tensor]:
    with patch.applied(trial.mllm) as model:
        return logits_of(model, trial.probes)


def _moved(mllm: MLLM, before: Snapshot) -> str | None:
    moved = before.differences(mllm)
    return f"Changed and left so: {shortened(', '.join(moved))}." if moved else None


def _differ(before: Sequence[Tensor], model: Model, queries: Sequence[Query]) -> str | None:
    pairs = zip(queries, before, logits_of(model, queries), strict=True)
    other = [query for query, one, two in pairs if not torch.equal(one, two)]
    if not other:
        return None
    return f"{len(other)} of {len(queries)} answers differ, such as that to {_quoted(other[0])}."


def _undone(trial: Trial, patch: Patch, before: Snapshot) -> str | None:
    with suppress(KeyboardInterrupt), patch.applied(trial.mllm):
        raise KeyboardInterrupt
    return _moved(trial.mllm, before)


def _again(trial: Trial, patch: Patch, first: Sequence[Tensor]) -> str | None:
    with patch.applied(trial.mllm) as model:
        # Asked in between, so that what it remembers of queries shows.
        model.write(trial.probes, max_new_tokens=4)
        return _differ(first, model, trial.probes)


def _planned_again(trial: Trial, first: State) -> str | None:
    """After all that was asked under it, which a plan must not know of."""
    second = trial.plan().state()
    if first.fields != second.fields:
        return "What it keeps besides tensors is other than when the same edit was planned before."
    other = shortened(", ".join(_other_tensors(first, second)))
    return f"Other numbers than when the same edit was planned before: {other}." if other else None


def _other_tensors(one: State, other: State) -> list[str]:
    def same(name: str) -> bool:
        pair = one.tensors.get(name), other.tensors.get(name)
        return pair[0] is not None and pair[1] is not None and torch.equal(pair[0], pair[1])

    return [name for name in dict.fromkeys([*one.tensors, *other.tensors]) if not same(name)]


def _saved(trial: Trial, patch: Patch, first: Sequence[Tensor]) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patch"
        save_patch(patch, path)
        # Not by load_patch, which makes patches of mmedit alone: this one's class is at hand.
        read = type(patch).from_state(_on(read_state(path)[0], trial.mllm.device))
    with read.applied(trial.mllm) as model:
        return _differ(first, model, trial.probes)


def _on(state: State, device: torch.device) -> State:
    return State({name: one.to(device) for name, one in state.tensors.items()}, state.fields)


def _reused(trial: Trial, patch: Patch) -> str | None:
    layer = patch.first_layer(trial.mllm)
    if layer is None:
        return None
    below = trial.mllm.below(trial.probes, layer)
    with patch.applied(trial.mllm) as model:
        pairs = list(zip(trial.probes, model.score(trial.probes), model.score(below), strict=True))
    coarse = trial.mllm.dtype != torch.float32
    far = [query for query, one, other in pairs if not _near(one.logits, other.logits, coarse)]
    if not far:
        return None
    return (
        f"It says layer {layer}, but with what was known below, the answer to {_quoted(far[0])} is another."
    )


def _written_apart(trial: Trial, patch: Patch) -> str | None:
    """Prompts may have been gone through in another call, as judging does it once for scores and answers."""
    # Without targets, so that both ways have batches of the same shapes.
    probes = [replace(query, target="") for query in trial.probes]
    with patch.applied(trial.mllm) as model:
        written = model.write(probes, max_new_tokens=NEW_TOKENS)
        lifted, queries = model.lifted(probes, new_tokens=NEW_TOKENS)
        pairs = zip(probes, written, lifted.write(queries, max_new_tokens=NEW_TOKENS), strict=True)
        other = [query for query, one, two in pairs if one.text != two.text]
    if not other:
        return None
    return (
        f"{len(other)} of {len(probes)} free answers differ where the prompts were gone through in a call "
        f"before, such as that to {_quoted(other[0])}."
    )


def _near(one: Tensor, other: Tensor, coarse: bool) -> bool:
    return torch.allclose(one, other, rtol=0, atol=COARSE * float(one.abs().max()) if coarse else NEAR)


def _together(trial: Trial) -> str | None:
    edits = (trial.edit, *trial.others)
    if len(edits) < 2:
        return None
    try:
        trial.plan(*edits)
    except UserError as error:
        return f"It says that it makes several edits, and refuses: {error}" if trial.editor.batch else None
    return None if trial.editor.batch else "It says that it makes one edit at a time, and plans several."


def _quoted(query: Query) -> str:
    return shortened(repr(query.prompt))
