"""Enough edits for a stream, and small methods of every sort to make them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from editors import EDITORS
from editors.base import Edit, Model
from editors.patches.overlays import PromptPatch
from evaluation.data.cases import Case
from evaluation.run.experiment import Experiment, Method
from mmedit_build.engine.shards import write_rows
from mmedit_build.rows import SPLITS
from mmedit_build.work import Work
from tests.evaluation.conftest import NoConfig, Noise, _edit, _vqa

EDITS = 7
LEARNING = {"steps": 2, "batch_size": 2, "validate_every": 1}
SMALL: dict[str, dict[str, Any]] = {
    "calinet": {"forms": ["{prompt}"], "steps": 3, "slots": 4},
    "ft": {"steps": 3},
    "ft-vision": {"steps": 2},
    "ike": {"encoder": "base", "copies": 0, "updates": 0, "retains": 0},
    "memit": {"samples": 20, "prefix_count": 1, "steps": 3},
    "mend": LEARNING,
    "rome": {"samples": 20, "prefix_count": 1, "steps": 3},
    "serac": {**LEARNING, "negatives": ["others"]},
    "t-patcher": {"memory": 100, "steps": 20},
}


class NoEdit(Noise):
    """Changes nothing, and says that it can."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> PromptPatch:  # type: ignore[override]  # noqa: ARG002
        return PromptPatch(())


class Unwilling(Noise):
    """Cannot make every third edit."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> Any:
        if edits[-1].target.startswith("t"):
            raise ArithmeticError("no edit starts with a t")
        return super().plan(model, edits[-1:])


@pytest.fixture
def own_editors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the editors of this file known."""
    for name, editor in {"none": NoEdit, "unwilling": Unwilling}.items():
        assert editor.Config is NoConfig
        monkeypatch.setitem(EDITORS, name, f"{__name__}:{editor.__name__}")


@pytest.fixture(scope="session")
def many() -> list[Case]:
    """Questions about pictures of their own."""
    return [_vqa(number) for number in range(EDITS)]


@pytest.fixture(scope="session")
def long_dataset(many: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = Work(tmp_path_factory.mktemp("long"))
    write_rows(
        work.stage("attach") / "rows.jsonl", [_edit(case, work, split) for split in SPLITS for case in many]
    )
    return work.folder


@pytest.fixture
def experiment(long_dataset: Path, tmp_path: Path) -> Experiment:
    return Experiment(
        methods={name: Method(options=options) for name, options in SMALL.items()},
        dataset=str(long_dataset),
        device="cpu",
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        holdout=0.4,
        stream=(1, 3, 100),
        orders=2,
    )
