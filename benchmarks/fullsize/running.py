"""One method on one model: what it takes, phase by phase."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks.fullsize.building import make_model
from benchmarks.fullsize.edits import HELD_OUT, train_edits
from editors import load_editor
from editors.base import Learner
from evaluation.run.peak import peak, reset_peak
from evaluation.run.suited import bundled
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.loading import kind_of
from mmedit_build.mllm.selfcheck import check
from tests.zoo.common import Member

CHECK, MINE = "check", "mine"
"""What is run besides methods: the check at load, and a batch of questions as a build asks them."""
NEW_TOKENS = 4
_FEW = {"samples": 3, "steps": 3}
_UPDATES = {"steps": 2, "validate_every": 2}
REDUCED: dict[str, dict[str, Any]] = {
    "ft": {"steps": 3},
    "ft-vision": {"steps": 3},
    "ike": {"encoder": "base"},
    "calinet": {"steps": 3},
    "t-patcher": {"memory": 64, "steps": 3, "validate_every": 3, "validate_from": 0},
    "rome": _FEW,
    "memit": _FEW,
    "kn": {"steps": 1, "forms": ("{prompt}",), "tokens": 1, "sample": 1},
    "mend": _UPDATES,
}
"""Counts in the place of the published ones, and for IKE the model's own embeddings in that of an encoder."""
RUNS = (CHECK, MINE, *REDUCED)


@dataclass(slots=True)
class Measured:
    """Seconds and the most bytes of each phase, beyond what the process took before it had a model."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    step: float | None = None
    """Seconds between two steps of an optimizer, the median."""

    @property
    def most(self) -> int:
        return max(self.bytes.values())


def published(member: Member, method: str) -> dict[str, Any]:
    """The options that are bundled for models of this kind."""
    suited = bundled().get(kind_of(member.config.to_dict()))
    known = suited.methods.get(method) if suited else None
    return dict(known.options) if known else {}


def options(member: Member, method: str) -> dict[str, Any]:
    """The same, with fewer steps and samples."""
    return {**published(member, method), **REDUCED.get(method, {})}


def measure(name: str, member: Member, what: str, device: torch.device, dtype: torch.dtype) -> Measured:
    """Build the model, and run one thing on it."""
    measured, steps = Measured(), list[float]()
    before = 0 if device.type == "cuda" else peak([device])[0]
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(time.perf_counter()))

    @contextmanager
    def phase(title: str) -> Iterator[None]:
        reset_peak([device])
        start = time.perf_counter()
        yield
        measured.seconds[title] = time.perf_counter() - start
        measured.bytes[title] = peak([device])[0] - before

    try:
        with phase("build"):
            mllm = make_model(name, member, dtype, device)
        for title, run in _phases(mllm, member, what):
            with phase(title):
                run()
    finally:
        hook.remove()
    if len(steps) > 1:
        measured.step = statistics.median(after - one for one, after in itertools.pairwise(steps))
    return measured


def _phases(mllm: MLLM, member: Member, what: str) -> Iterator[tuple[str, Callable[[], object]]]:
    if what == CHECK:
        yield CHECK, lambda: check(mllm, mllm._family)
        return
    edits = train_edits(mllm)
    if what == MINE:
        asked = [one.edit.query for one in edits[:4]]
        yield MINE, lambda: mllm.write(asked, max_new_tokens=NEW_TOKENS)
        return
    *learned, last = edits
    editor = load_editor(what, options(member, what))
    if isinstance(editor, Learner):
        data = learned[:-HELD_OUT], learned[-HELD_OUT:]
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) / "work"
            yield "fit", lambda: editor.fit(mllm, *data, work=work, advance=lambda _: None)
    yield "plan", lambda: editor.plan(mllm, [last.edit])
